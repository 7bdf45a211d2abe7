"""One line a check on standard output: 'ok NAME' or 'FAIL NAME why'.
With TLS if TLS_CA is set: the other variables are TLS_NAME, TLS_VERSION, TLS_CERT and TLS_KEY."""
import os
import ssl
import sys

HOST, PORT = sys.argv[1], int(sys.argv[2])


class Named(ssl.SSLContext):
    """Looks for the server's name, not for the address that these libraries connect to."""

    def wrap_socket(self, *arguments, **more):
        more['server_hostname'] = os.environ['TLS_NAME']
        return super().wrap_socket(*arguments, **more)

    def wrap_bio(self, *arguments, **more):
        more['server_hostname'] = os.environ['TLS_NAME']
        return super().wrap_bio(*arguments, **more)


def tls():
    """None: in the clear."""
    if 'TLS_CA' not in os.environ:
        return None
    version = {'1.2': ssl.TLSVersion.TLSv1_2, '1.3': ssl.TLSVersion.TLSv1_3}
    context = Named(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(os.environ['TLS_CA'])
    context.minimum_version = context.maximum_version = version[os.environ['TLS_VERSION']]
    if 'TLS_CERT' in os.environ:
        context.load_cert_chain(os.environ['TLS_CERT'], os.environ['TLS_KEY'])
    return context


def check(name, function):
    try:
        function()
        print(f'ok {name}', flush=True)
    except Exception as problem:  # whatever goes wrong is the answer
        print(f'FAIL {name}', ' '.join(repr(problem).split())[:300], flush=True)
