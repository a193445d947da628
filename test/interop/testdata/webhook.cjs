// A receiver of webhooks that verifies with the library of Standard Webhooks: webhook.cjs HOST PORT SECRET LOG.
// Each request is a line of LOG. Of every sixtieth event the first answer is lost on the way.
const fs = require("fs"), http = require("http"), crypto = require("crypto");
const { Webhook } = require("standardwebhooks");

const [host, port, secret, log] = process.argv.slice(2);
const verifier = new Webhook(secret), seen = new Set();

http.createServer((request, response) => {
	const chunks = [];
	request.on("data", (chunk) => chunks.push(chunk));
	request.on("end", () => {
		const body = Buffer.concat(chunks).toString("utf8"), id = request.headers["webhook-id"];
		const line = { id, digest: crypto.createHash("sha256").update(body).digest("hex"), ours: true };
		try {
			const event = verifier.verify(body, request.headers);
			Object.assign(line, { type: event.type, recipient: event.data.recipient });
		} catch (error) {
			Object.assign(line, { ours: false, error: String(error) });
		}
		fs.appendFileSync(log, JSON.stringify(line) + "\n");
		const first = !seen.has(id);
		seen.add(id);
		if (first && seen.size % 60 === 0) {
			request.socket.destroy();
			return;
		}
		response.writeHead(line.ours ? 204 : 401).end();
	});
}).listen(Number(port), host);
