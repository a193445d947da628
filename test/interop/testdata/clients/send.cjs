// nodemailer as applications use it: HOST PORT clear|starttls|tls MECHANISM USER PASSWORD FROM TO SUBJECT
const nodemailer = require("nodemailer");

const [host, port, encryption, mechanism, user, pass, from, to, subject] = process.argv.slice(2);
const transport = nodemailer.createTransport({
  host,
  port: Number(port),
  secure: encryption === "tls",
  requireTLS: encryption === "starttls",
  ignoreTLS: encryption === "clear",
  authMethod: mechanism || undefined,
  auth: mechanism ? { user, pass } : undefined,
});
transport
  .sendMail({ from, to, subject, text: "Grüße aus Köln.\n.\n..\nVon hier an.\n" })
  .then((info) => console.log(info.response))
  .catch((error) => {
    console.error(error);
    process.exit(1);
  });
