package console

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"sternpost/mail"
	"sternpost/queue"
)

// Metrics are what the agent counts, for Prometheus. No label has a value that comes from a message or a remote: their number is the same whatever is sent. The methods may be
// called concurrently.
type Metrics struct {
	registry   *prometheus.Registry
	accepted   *prometheus.CounterVec
	repeated   *prometheus.CounterVec
	refused    *prometheus.CounterVec
	attempts   *prometheus.CounterVec
	recipients *prometheus.CounterVec
	inDoubt    prometheus.Counter
	latency    prometheus.Histogram
}

// NewMetrics makes metrics in a registry of their own. doors are the values of the label of that name.
func NewMetrics(version string, doors []string) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "sternpost", Name: name, Help: help}, labels)
	}
	m := &Metrics{
		registry:   prometheus.NewRegistry(),
		accepted:   counter("messages_accepted_total", "Messages that were taken over.", "door"),
		repeated:   counter("messages_repeated_total", "Messages that came again with their idempotency key, and were taken before.", "door"),
		refused:    counter("refusals_total", "Messages, senders and recipients that were refused, by the class of the SMTP code; content: what was wrong was the message itself, or its connection.", "door", "class"),
		attempts:   counter("outcomes_total", "Outcomes of attempts, one for each recipient.", "disposition"),
		recipients: counter("recipients_finished_total", "Recipients that reached their final state.", "state"),
		inDoubt: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "sternpost", Name: "outcomes_in_doubt_total", Help: "Outcomes of attempts that left in doubt whether the message was taken.",
		}),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "sternpost", Name: "delivery_seconds", Help: "From the acceptance of a message until it was handed over, for each recipient.",
			Buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 4 * 3600, 24 * 3600},
		}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: "sternpost", Name: "build_info", Help: "1, with the version as a label.", ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	m.registry.MustRegister(m.accepted, m.repeated, m.refused, m.attempts, m.recipients, m.inDoubt, m.latency, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.begin(doors)
	return m
}

// begin makes every label, so that what has not happened yet is 0 and not absent.
func (m *Metrics) begin(doors []string) {
	for _, door := range doors {
		m.accepted.WithLabelValues(door)
		m.repeated.WithLabelValues(door)
		for _, class := range []string{"4xx", "5xx", "content"} {
			m.refused.WithLabelValues(door, class)
		}
	}
	for _, d := range []mail.Disposition{mail.Delivered, mail.Deferred, mail.Failed} {
		m.attempts.WithLabelValues(string(d))
	}
	for _, s := range []queue.State{queue.Delivered, queue.Failed} {
		m.recipients.WithLabelValues(s.String())
	}
}

// Accepted counts a message that came in by a door.
func (m *Metrics) Accepted(door string, repeated bool) {
	if repeated {
		m.repeated.WithLabelValues(door).Inc()
		return
	}
	m.accepted.WithLabelValues(door).Inc()
}

// Refused counts what was refused at a door. code is that of SMTP; 0: the content could not be read.
func (m *Metrics) Refused(door string, code int) {
	class := "content"
	switch code / 100 {
	case 4:
		class = "4xx"
	case 5:
		class = "5xx"
	}
	m.refused.WithLabelValues(door, class).Inc()
}

// Settled implements queue.Observer.
func (m *Metrics) Settled(o mail.Outcome, s queue.State, age time.Duration) {
	if o.Disposition != "" {
		m.attempts.WithLabelValues(string(o.Disposition)).Inc()
	}
	if o.InDoubt {
		m.inDoubt.Inc()
	}
	if s.Final() {
		m.recipients.WithLabelValues(s.String()).Inc()
	}
	if s == queue.Delivered {
		m.latency.Observe(age.Seconds())
	}
}

// Gauge adds a figure that is read whenever somebody asks. The name must be a new one.
func (m *Metrics) Gauge(name, help string, read func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "sternpost", Name: name, Help: help}, read))
}

// Counter adds a figure that only grows, and is read whenever somebody asks. The name must be a new one.
func (m *Metrics) Counter(name, help string, read func() float64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: "sternpost", Name: name, Help: help}, read))
}

// answers is the page. What cannot be read is left out.
func (m *Metrics) answers(q Queue) http.Handler {
	m.registry.MustRegister(newDepth(q))
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: 3, Timeout: answerTimeout / 2})
}

// depth reads the queue when it is asked. The queue counts what waits for each destination, which takes its time where very much does: so it is not asked more often
// than for one part in depthShare of the time.
type depth struct {
	queue        Queue
	ready        *prometheus.Desc
	messages     *prometheus.Desc
	destinations *prometheus.Desc

	mu    sync.Mutex
	read  time.Time
	took  time.Duration
	known map[string]int // messages by state
	fare  map[string]int // destinations by health
}

const (
	depthEvery = 5 * time.Second
	depthShare = 20
)

func newDepth(q Queue) *depth {
	describe := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("sternpost_"+name, help, labels, nil)
	}
	return &depth{
		queue: q, ready: describe("ready", "1 while mail is accepted, else 0."),
		messages:     describe("queue_messages", "Messages in the queue, once for each of their destinations.", "state"),
		destinations: describe("destinations", "Destinations that have something waiting or under way.", "health"),
	}
}

// Describe implements prometheus.Collector.
func (d *depth) Describe(into chan<- *prometheus.Desc) {
	for _, each := range []*prometheus.Desc{d.ready, d.messages, d.destinations} {
		into <- each
	}
}

// Collect implements prometheus.Collector.
func (d *depth) Collect(into chan<- prometheus.Metric) {
	ready := 1.0
	if d.queue.Ready() != nil {
		ready = 0
	}
	into <- prometheus.MustNewConstMetric(d.ready, prometheus.GaugeValue, ready)
	d.mu.Lock()
	defer d.mu.Unlock()
	if time.Since(d.read) > max(depthEvery, depthShare*d.took) {
		d.look()
	}
	for state, n := range d.known {
		into <- prometheus.MustNewConstMetric(d.messages, prometheus.GaugeValue, float64(n), state)
	}
	for health, n := range d.fare {
		into <- prometheus.MustNewConstMetric(d.destinations, prometheus.GaugeValue, float64(n), health)
	}
}

// look counts anew. Where that fails nothing is known.
func (d *depth) look() {
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), answerTimeout)
	defer cancel()
	list, err := d.queue.Destinations(ctx)
	d.read, d.took, d.known, d.fare = time.Now(), time.Since(began), nil, nil
	if err != nil {
		return
	}
	d.known = map[string]int{"waiting": 0, "under_way": 0, "held": 0}
	d.fare = map[string]int{HealthGood: 0, HealthSuspended: 0, HealthDead: 0}
	for _, one := range list {
		d.known["held"] += one.Held
		d.known["under_way"] += one.UnderWay
		d.known["waiting"] += max(0, one.Messages-one.Held-one.UnderWay)
		d.fare[one.Health]++
	}
}
