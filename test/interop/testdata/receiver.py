"""aiosmtpd as a receiver: every message goes into a maildir, octet for octet as the library hands it over.

Usage: receiver.py MAILDIR CERTIFICATE KEY HOST:PORT=LIMIT...   (LIMIT: octets a line, 0 for the library's own)
"""

import asyncio
import itertools
import os
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

serial = itertools.count()


class Maildir:
    def __init__(self, path):
        self.path = path

    async def handle_DATA(self, server, session, envelope):
        name = f"{os.getpid()}.{next(serial)}"
        head = [f"X-Recipient: {address}\r\n" for address in envelope.rcpt_tos]
        head.append(f"X-Login: {session.authenticated and session.auth_data}\r\n")
        unfinished = os.path.join(self.path, "tmp", name)
        with open(unfinished, "wb") as out:
            out.write("".join(head).encode() + envelope.content)
        os.rename(unfinished, os.path.join(self.path, "new", name))
        return "250 2.0.0 stored as " + name


def authenticate(server, session, envelope, mechanism, credentials):
    if (credentials.login, credentials.password) == (b"sender", b"correct horse"):
        return AuthResult(success=True, auth_data=f"{mechanism} {credentials.login.decode()}")
    return AuthResult(success=False, handled=False)


def server(maildir, context, limit):
    class Limited(SMTP):
        line_length_limit = limit or SMTP.line_length_limit

    return lambda: Limited(
        maildir,
        data_size_limit=64 << 20,
        enable_SMTPUTF8=True,
        decode_data=False,
        hostname="mx.aiosmtpd.test",
        tls_context=context,
        authenticator=authenticate,
    )


async def main(directory, certificate, key, *listeners):
    for folder in ("tmp", "new", "cur"):
        os.makedirs(os.path.join(directory, folder), exist_ok=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    loop = asyncio.get_running_loop()
    for listener in listeners:
        address, limit = listener.split("=")
        host, port = address.rsplit(":", 1)
        await loop.create_server(server(Maildir(directory), context, int(limit)), host, int(port))
    await asyncio.Event().wait()


asyncio.run(main(*sys.argv[1:]))
