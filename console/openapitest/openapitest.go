// Package openapitest holds requests and answers against an OpenAPI 3.1 document, for tests. The schemas are JSON Schema and are judged as such; of the rest it knows what our document uses: paths
// with parameters in braces, query parameters, one body for each media type, answers by status with references to components.
package openapitest

import (
	"bytes"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// name is that of the document in references.
const name = "openapi.json"

// Document is one that was read. Safe for use by one goroutine.
type Document struct {
	root     map[string]any
	compiler *jsonschema.Compiler
}

// Read reads a document. The error names a schema that is none, and a reference that leads nowhere.
func Read(text []byte) (*Document, error) {
	root, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	d := &Document{compiler: jsonschema.NewCompiler()}
	d.root, _ = root.(map[string]any)
	if version, _ := d.root["openapi"].(string); !strings.HasPrefix(version, "3.1.") {
		return nil, fmt.Errorf("the document is of OpenAPI %q, not 3.1", version)
	}
	d.compiler.DefaultDraft(jsonschema.Draft2020)
	d.compiler.AssertFormat()
	if err := d.compiler.AddResource(name, root); err != nil {
		return nil, err
	}
	return d, d.each("#", root)
}

// each compiles every schema below a place.
func (d *Document) each(at string, v any) error {
	switch v := v.(type) {
	case map[string]any:
		for key, below := range v {
			place := at + "/" + escape(key)
			if key == "schema" || strings.HasSuffix(at, "/components/schemas") {
				if _, err := d.compiler.Compile(name + place); err != nil {
					return err
				}
				continue
			}
			if err := d.each(place, below); err != nil {
				return err
			}
		}
	case []any:
		for i, below := range v {
			if err := d.each(at+"/"+strconv.Itoa(i), below); err != nil {
				return err
			}
		}
	}
	return nil
}

// escape writes a key as part of a JSON pointer in a URL (RFC 6901 s3, s6).
func escape(key string) string {
	return url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(key))
}

// operation is what the document says of one method of a path.
type operation struct {
	at     string // where it stands
	says   map[string]any
	values map[string]string // of the parameters in the path
}

// find finds the operation that a request asks for.
func (d *Document) find(r *http.Request) (operation, error) {
	paths, _ := d.root["paths"].(map[string]any)
	for path, says := range paths {
		values, fits := match(path, r.URL.Path)
		methods, _ := says.(map[string]any)
		method := strings.ToLower(r.Method)
		if found, ok := methods[method].(map[string]any); fits && ok {
			return operation{"#/paths/" + escape(path) + "/" + method, found, values}, nil
		}
	}
	return operation{}, fmt.Errorf("%s %s is not in the document", r.Method, r.URL.Path)
}

// match says whether a path is one of a pattern, and what stands in its braces.
func match(pattern, path string) (map[string]string, bool) {
	want, got := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return nil, false
	}
	values := map[string]string{}
	for i := range want {
		if strings.HasPrefix(want[i], "{") {
			values[strings.Trim(want[i], "{}")] = got[i]
		} else if want[i] != got[i] {
			return nil, false
		}
	}
	return values, true
}

// CheckRequest says what of a request is not as the document has it. The body is that of the request.
func (d *Document) CheckRequest(r *http.Request, body []byte) error {
	o, err := d.find(r)
	if err != nil {
		return err
	}
	if err := d.parameters(o, r); err != nil {
		return err
	}
	if _, takes := o.says["requestBody"]; !takes {
		if len(body) > 0 {
			return fmt.Errorf("%s %s takes no body", r.Method, r.URL.Path)
		}
		return nil
	}
	return d.content(o.at+"/requestBody/content", r.Header.Get("Content-Type"), body)
}

// parameters judges those of the query and of the path. All of the query must be in the document.
func (d *Document) parameters(o operation, r *http.Request) error {
	given := r.URL.Query()
	list, _ := o.says["parameters"].([]any)
	for i, p := range list {
		at, says := d.follow(fmt.Sprintf("%s/parameters/%d", o.at, i), p)
		key, _ := says["name"].(string)
		var values []string
		switch says["in"] {
		case "query":
			values = given[key]
			given.Del(key)
		case "path":
			values = []string{o.values[key]}
		}
		if required, _ := says["required"].(bool); required && len(values) == 0 {
			return fmt.Errorf("the parameter %s is missing", key)
		}
		if err := d.values(at+"/schema", key, values); err != nil {
			return err
		}
	}
	for key := range given {
		return fmt.Errorf("the parameter %s is not in the document", key)
	}
	return nil
}

// follow gives what stands at a place, or where it refers to.
func (d *Document) follow(at string, v any) (string, map[string]any) {
	says, _ := v.(map[string]any)
	other, refers := says["$ref"].(string)
	if !refers {
		return at, says
	}
	var found any = d.root
	for _, key := range strings.Split(strings.TrimPrefix(other, "#/"), "/") {
		within, _ := found.(map[string]any)
		found = within[key]
	}
	says, _ = found.(map[string]any)
	return other, says
}

// values judges the values of one parameter: as what they are written as, or as text; alone, or as a list.
func (d *Document) values(schema, key string, values []string) error {
	if len(values) == 0 {
		return nil
	}
	s, err := d.compiler.Compile(name + schema)
	if err != nil {
		return err
	}
	texts, read := []any{}, []any{}
	for _, text := range values {
		texts = append(texts, text)
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err != nil {
			v = text
		}
		read = append(read, v)
	}
	for _, v := range []any{texts[0], read[0], texts, read} {
		if err = s.Validate(v); err == nil {
			return nil
		}
	}
	return fmt.Errorf("the parameter %s=%q: %w", key, values, err)
}

// CheckAnswer says what of an answer to a request is not as the document has it.
func (d *Document) CheckAnswer(r *http.Request, answer *http.Response, body []byte) error {
	o, err := d.find(r)
	if err != nil {
		return err
	}
	answers, _ := o.says["responses"].(map[string]any)
	status := strconv.Itoa(answer.StatusCode)
	says, known := answers[status].(map[string]any)
	if !known {
		return fmt.Errorf("the status %s is not in the document", status)
	}
	at, _ := d.follow(o.at+"/responses/"+status, says)
	return d.content(at+"/content", answer.Header.Get("Content-Type"), body)
}

// content judges a body by the schema of its media type. What is not JSON only has to be of a type that is there.
func (d *Document) content(at, mediaType string, body []byte) error {
	kind, _, err := mime.ParseMediaType(mediaType)
	if err != nil {
		return fmt.Errorf("the media type %q: %w", mediaType, err)
	}
	s, err := d.compiler.Compile(name + at + "/" + escape(kind) + "/schema")
	if err != nil {
		return fmt.Errorf("the media type %s: %w", kind, err)
	}
	if kind != "application/json" && !strings.HasSuffix(kind, "+json") {
		return nil
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err
	}
	return s.Validate(v)
}
