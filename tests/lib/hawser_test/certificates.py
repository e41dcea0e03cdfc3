"""A throw-away certificate authority, by the openssl program."""

import subprocess
from pathlib import Path


class Certificate:
    def __init__(self, cert, key):
        self.cert, self.key = Path(cert), Path(key)


def openssl(*arguments):
    run = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError(f"openssl {' '.join(map(str, arguments))}: {run.stderr}")


class Authority:
    def __init__(self, directory, name="hawser test CA", issuer=None, days=3650):
        """issuer: another authority, whose intermediate this one is then."""
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.cert, self.key = self.directory / "ca.pem", self.directory / "ca.key"
        request = self.directory / "ca.csr"
        openssl("req", *([] if issuer else ["-x509", "-days", days]), "-newkey", "ec", "-pkeyopt",
                "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.key, "-out",
                request if issuer else self.cert, "-subj", f"/CN={name}",
                "-addext", "basicConstraints=critical,CA:TRUE",
                "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        if issuer:
            issuer.sign(request, self.cert)
        (self.directory / "index.txt").write_text("")
        (self.directory / "serial").write_text("1000\n")
        (self.directory / "ca.cnf").write_text(
            "[ca]\ndefault_ca = this\n[this]\n"
            f"database = {self.directory}/index.txt\nserial = {self.directory}/serial\n"
            f"new_certs_dir = {self.directory}\ncertificate = {self.cert}\nprivate_key = {self.key}\n"
            "default_md = sha256\npolicy = any\nunique_subject = no\ncopy_extensions = copy\n"
            "[any]\ncommonName = supplied\n")

    def sign(self, request, cert, start="20200101000000Z", end="20400101000000Z"):
        openssl("ca", "-batch", "-config", self.directory / "ca.cnf", "-in", request, "-out", cert,
                "-startdate", start, "-enddate", end, "-notext")

    def issue(self, host="localhost", start="20200101000000Z", end="20400101000000Z", tag="",
              names=None):
        """A certificate of this authority; times as YYYYMMDDHHMMSSZ, names as "DNS:a,IP:127.0.0.1"."""
        base = self.directory / f"{host}{tag}"
        key, request, cert = (base.with_name(base.name + end_) for end_ in (".key", ".csr", ".pem"))
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", key, "-out", request, "-subj", f"/CN={host}",
                "-addext", "subjectAltName=" + (names or f"DNS:{host}"))
        self.sign(request, cert, start, end)
        return Certificate(cert, key)

    def expired(self):
        return self.issue(start="20200101000000Z", end="20210101000000Z", tag="-expired")

    def not_yet(self):
        return self.issue(start="20390101000000Z", end="20400101000000Z", tag="-future")

    def self_signed(self, host="localhost"):
        key, cert = self.directory / "self.key", self.directory / "self.pem"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", key, "-out", cert, "-days", "2", "-subj", f"/CN={host}",
                "-addext", f"subjectAltName=DNS:{host}")
        return Certificate(cert, key)
