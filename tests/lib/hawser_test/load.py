"""Load by programs in C, for soaks and benchmarks."""

from hawser_test.program import Program

FIRST = 100000000001  # the number of the first event, of tests/bench/bench.h


class Load:
    """A service that sends as fast as hawserd reads, and programs that read."""

    def __init__(self, hawser, clients):
        self.hawser, self.programs = hawser, []
        self.last = FIRST - 1
        self.blast = self.add("tests/bench/blast")
        port = self.blast.hear("port")["port"]
        hawser.scaiwave(None, host=f"localhost:{port}", connect__url=f"ws://localhost:{port}/v1/stream",
                        **{"http:sync.url": f"http://localhost:{port}/v1/sync"})
        hawser.sections["daemon"]["log"] = "info"
        paths = {"events": hawser.socket, "feed": hawser.runtime / "feed.sock",
                 "web": hawser.runtime / "web.sock"}
        for name, protocol in (("events", "ndjson"), ("feed", "feed"), ("web", "http")):
            hawser.sections[f"listen {name}"] = {"path": paths[name], "protocol": protocol,
                                                 "max_clients": clients + 100}
        hawser.start().wait_state("live")
        self.crowd = self.add("tests/soak/crowd", *paths.values())

    def add(self, program, *arguments):
        program = Program([self.hawser.build / program, *arguments], self.hawser.directory)
        self.programs.append(program)
        return program

    def burst(self, count, rate=None):
        """Sends so many, as fast as hawserd reads, or `rate` a second; sent() is the end of it."""
        self.blast.tell(f"pace {rate} {count}" if rate else f"burst {count}")
        self.last += count

    def sent(self):
        return self.blast.hear("sent", 600)

    def close(self):
        for program in reversed(self.programs):
            program.stop()
