"""Python's smtplib as applications use it: HOST PORT clear|starttls|tls MECHANISM USER PASSWORD FROM TO SUBJECT"""

import smtplib
import ssl
import sys
from email.message import EmailMessage

host, port, encryption, mechanism, user, password, sender, to, subject = sys.argv[1:]
message = EmailMessage()
message["From"], message["To"], message["Subject"] = sender, to, subject
message.set_content("Grüße aus Köln.\n.\n..\nVon hier an.\n")
trust = ssl.create_default_context()
server = smtplib.SMTP_SSL(host, int(port), context=trust) if encryption == "tls" else smtplib.SMTP(host, int(port))
with server:
    if encryption == "starttls":
        server.starttls(context=trust)
    if mechanism:
        server.ehlo_or_helo_if_needed()
        server.user, server.password = user, password
        attempt = {"PLAIN": server.auth_plain, "LOGIN": server.auth_login}[mechanism]
        server.auth(mechanism, attempt)
    server.send_message(message)
