"""Drives the muster program from outside: the server, its API over the local socket, and the simulator."""

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import tempfile
import time


class LocalConnection(http.client.HTTPConnection):
    """HTTP over the server's local socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=60)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(60)
        self.sock.connect(self.path)


class Refused(Exception):
    """The API answered with an error."""


class Process:
    """A running program, and what it costs."""

    process = None

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        return self.process.wait(30)

    def cpu_seconds(self):
        fields = open(f"/proc/{self.process.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_kib(self):
        for line in open(f"/proc/{self.process.pid}/status"):
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        raise RuntimeError("no VmRSS")


class Echo(Process):
    """The reference: a bare TLS WebSocket server that answers every message at once and knows nothing."""

    def __init__(self, program):
        self.folder = tempfile.mkdtemp(prefix="muster-echo-")
        self.process = subprocess.Popen([program, "127.0.0.1:0", self.folder], stdout=subprocess.PIPE, text=True)
        address, self.ca = self.process.stdout.readline().split(maxsplit=1)
        self.ca = self.ca.strip()
        self.agent_port = int(address.rsplit(":", 1)[1])


class Server(Process):
    """One data folder with the server that runs on it."""

    def __init__(self, program, folder=None, agent_port=0, settings=()):
        self.program = program
        self.folder = folder or tempfile.mkdtemp(prefix="muster-")
        self.ca = os.path.join(self.folder, "ca.pem")
        self.agent_port = agent_port
        self.settings = settings
        self.listening_after = None

    def start(self):
        """Starts, and returns once both planes listen."""
        before = time.monotonic()
        log = open(os.path.join(self.folder, "log.json"), "ab")
        size = log.tell()
        self.process = subprocess.Popen(
            [self.program, "serve", "--data", self.folder, "--agent-listen", f"127.0.0.1:{self.agent_port}",
             "--admin-listen", "127.0.0.1:0", "--set", "limits.connections_per_address=20000",
             "--set", "limits.messages_per_minute=6000",
             *(part for setting in self.settings for part in ("--set", setting))],
            stdout=subprocess.DEVNULL, stderr=log)
        while True:
            assert self.process.poll() is None, "the server ended: " + open(log.name).read()[-2000:]
            with open(log.name, "rb") as text:
                text.seek(size)
                for line in text:
                    if b'"listening"' in line and line.endswith(b"\n"):
                        said = json.loads(line)
                        self.listening_after = time.monotonic() - before
                        self.agent_port = int(said["agent_address"].rsplit(":", 1)[1])
                        return self
            time.sleep(0.002)

    def api(self, method, path, body=None):
        """One request as the operator of the host."""
        connection = LocalConnection(os.path.join(self.folder, "muster.sock"))
        try:
            headers = {"content-type": "application/json"} if body is not None else {}
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status >= 300:
                raise Refused(f"{method} {path}: {answer.status} {text.decode(errors='replace')[:500]}")
            return json.loads(text) if text else None
        finally:
            connection.close()

    def metrics(self):
        connection = LocalConnection(os.path.join(self.folder, "muster.sock"))
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
        connection.close()
        pairs = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    def commits(self):
        return sum(value for name, value in self.metrics().items() if name.startswith("muster_store_commits"))

    def post(self, path, secret, content_type, body):
        """One request to the agent plane, over TLS; status and body."""
        context = ssl.create_default_context(cafile=self.ca)
        connection = http.client.HTTPSConnection("localhost", self.agent_port, timeout=60, context=context)
        try:
            headers = {"authorization": f"Bearer {secret}", "content-type": content_type}
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def enrol(self, host):
        """Enrols a host with a token of its own."""
        secret = self.api("POST", "/api/v1/enrolment-tokens", {})["secret"]
        status, body = self.post("/v1/enroll", secret, "application/json", json.dumps({"host": host}))
        if status != 201:
            raise Refused(f"{host} could not enrol: {status} {body[:500]}")
        return json.loads(body)

    def token_for_each(self, agents):
        """An enrolment token with a use for each of so many agents."""
        made = self.api("POST", "/api/v1/enrolment-tokens", {"uses": agents, "valid_seconds": 86400})
        return made["secret"]

    def token(self, agents):
        """An enrolment token for a pool of so many agents."""
        made = self.api("POST", "/api/v1/enrolment-tokens", {"many": agents, "uses": 10, "valid_seconds": 86400})
        return made["secret"]


class Simulation:
    """`muster simulate` with its control lines."""

    def __init__(self, program, server, agents, token, *more, sources="127.0.0.1-127.0.0.8"):
        self.process = subprocess.Popen(
            [program, "simulate", "--server", f"https://127.0.0.1:{server.agent_port}",
             "--ca", server.ca, "--token", token, "--agents", str(agents),
             "--duration", "30m", "--longest-wait", "5s", "--sources", sources, "--control", *more],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def say(self, command):
        """One command, and the figures that answer it."""
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"the simulation ended at {command!r}"
        return json.loads(line)

    def quit(self):
        figures = self.say("quit")
        self.process.wait(60)
        return figures
