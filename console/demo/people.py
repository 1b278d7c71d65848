"""Who labels at the demo's station: a person at the browser, and the simulated crew for what they leave."""

import os
import select
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from console.clients import Clients
from console.demo.steps import off_the_clock
from console.label.answers import Spent, Worker, content, response
from console.label.batch import Batch, find_batches, read_subjects
from console.label.pictures import Unreadable, fetch
from console.label.release import abandon, release
from console.label.server import PageServer
from console.label.serving import open_page, serving
from console.label.station import Station
from console.label.votes import Votes, voter_of
from console.screen import Screen
from offline.crew import Crew
from reefloop.contracts import EXPERTS, LABELERS

_AT_ONCE: Final = 8
_LOOK_SECONDS: Final = 0.5
_BY: Final = {"identityProviderType": "Offline"}


@dataclass
class People:
    """Everybody who answers what the rounds of the demo publish. The person is one of the labelers, and no expert."""

    clients: Clients
    bucket: str
    crew: Crew
    name: str
    screen: Screen
    _attended: set[str] = field(default_factory=set)

    def attend(self, round_: str) -> None:
        """See to every batch that is new: the person first, where there is one at the terminal, then the crew."""
        for team in (LABELERS, EXPERTS):
            for batch in find_batches(self.clients, self.bucket, round_, team):
                if batch.token in self._attended:
                    continue
                self._attended.add(batch.token)
                if team == LABELERS and sys.stdin.isatty():
                    with off_the_clock():
                        self._person(batch)
                self._crew(batch)

    def _person(self, batch: Batch) -> None:
        """Serve the page until the person has had enough, or nothing is left."""
        worker = Worker(self.name, _BY)
        station = Station(self.clients, self.bucket, batch.round_, batch.team, worker, tell=self.screen.say)
        station.refresh()
        server = PageServer(station)
        self.screen.clear()
        with serving(server):
            self.screen.say(f"label as many as you like: {server.url}", style="bold")
            self.screen.say("press Enter here to let the crew do the rest")
            open_page(server.url)
            while station.open and not select.select([sys.stdin], [], [], _LOOK_SECONDS)[0]:
                pass
            if station.open:
                os.read(sys.stdin.fileno(), 4096)

    def _crew(self, batch: Batch) -> None:
        """Give the answers that a batch lacks, by the crew, and let the round go on."""
        subjects = read_subjects(self.clients, batch)
        votes = Votes(self.clients, batch, len(subjects))
        votes.refresh()

        def answer(index: int) -> int:
            return self._answer(batch, votes, index, subjects[index].image)

        with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
            given = sum(pool.map(answer, range(len(subjects))))
        self.screen.say(f"{batch.job}: {given} answers by the crew")
        if votes.complete:
            release(self.clients, batch, votes)
        else:
            abandon(self.clients, batch, "the crew knows nothing of the images that are left")

    def _answer(self, batch: Batch, votes: Votes, index: int, image: str) -> int:
        """The answers that one object lacks; returns how many."""
        missing = votes.missing(index)
        if not missing:
            return 0
        try:
            picture = fetch(self.clients, batch.bucket, image)
        except Unreadable:
            votes.broken.add(index)
            return 0
        said = self.crew.answers(picture.body, list(batch.categories), batch.votes, batch.team)
        fresh = [one for one in said if index not in votes.of(voter_of(one.worker))][:missing]
        now = datetime.now(UTC)
        for one in fresh:
            spent = Spent(now - timedelta(seconds=one.seconds), now, one.seconds)
            document = response(Worker(one.worker, _BY), content(batch, one.content, picture.size), spent)
            votes.save(index, voter_of(one.worker), document)
        return len(fresh)
