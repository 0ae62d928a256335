"""Two months of an exchange's audit, made up: 200 practitioners of several roles and three super admins, with their weeks, holidays,
absences, busy weeks and mistakes, and incidents among them. The monitor knows neither the seed nor what is planted.

Days are counted from the first: 0 to 27 are only learned from, 28 to 57 are judged. The last one is yesterday.
"""

import random
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone

LEARNED, JUDGED = 28, 30
DAYS = LEARNED + JUDGED
OFFICES = [f"192.0.2.{number}" for number in range(1, 6)]
PAGE = 20

Row = tuple


@dataclass
class Person:
    """Somebody with an account: what an ordinary day of theirs is like."""

    user: int
    role: str
    pages: float
    panel: int
    consents: float = 0.0
    weekends: float = 0.04
    on_call: float = 0.0
    away: range = range(0)
    busy: range = range(0)
    first_day: int = 0
    rest_days: set[int] = field(default_factory=set)


@dataclass(frozen=True)
class Incident:
    """What is planted: as the monitor should find it."""

    kind: str
    who: str
    day: int


class Month:
    """The rows of the audit, and what is planted in them."""

    def __init__(self, seed: int, today: date):
        self.random = random.Random(seed)
        self.start = today - timedelta(days=DAYS)
        self.holidays = set(self.random.sample(range(DAYS), 3))
        self.people = [self.person(number) for number in range(200)]
        self.admins = [Person(509_000 + number, "", 6, 40, on_call=(0.35, 0.0, 0.0)[number]) for number in range(3)]
        self.sleepers = [507_000 + number for number in range(15)]
        self.incidents: list[Incident] = []
        self.rows: list[Row] = []

    def person(self, number: int) -> Person:
        chance = self.random
        role = chance.choices(["viewer", "member", "manager"], [9, 8, 3])[0]
        pages = chance.lognormvariate({"viewer": 3.4, "member": 2.4, "manager": 2.0}[role], 0.6)
        person = Person(501_000 + number, role, pages, int(chance.lognormvariate(3.0, 0.6)) + 3)
        person.consents = {"viewer": 0.0, "member": chance.choice([0, 3, 8]), "manager": chance.choice([0, 0, 2])}[role]
        if chance.random() < 0.05:  # A notebook that runs every night.
            person.weekends, person.pages = 1.0, 60 + 200 * chance.random()
        if chance.random() < 0.5:
            begin = chance.randrange(DAYS)
            person.away = range(begin, begin + chance.randrange(3, 15))
        if chance.random() < 0.2:  # A data set is finished: three times as much for a week.
            begin = chance.randrange(DAYS)
            person.busy = range(begin, begin + 5)
        if chance.random() < 0.04:
            person.first_day = chance.randrange(LEARNED, DAYS)
        if chance.random() < 0.2:  # Part time.
            person.rest_days = set(chance.sample(range(5), chance.choice([1, 2])))
        return person

    def works(self, person: Person, day: int) -> bool:
        weekday = (self.start + timedelta(days=day)).weekday()
        if day < person.first_day or day in person.away or weekday in person.rest_days:
            return False
        share = person.weekends if weekday > 4 or day in self.holidays else 0.92
        return self.random.random() < share

    def at(self, day: int, begin: float, end: float) -> str:
        midnight = datetime.combine(self.start + timedelta(days=day), datetime.min.time(), timezone.utc)
        return (midnight + timedelta(hours=self.random.uniform(begin, end))).isoformat()

    def event(
        self,
        at: str,
        user: int | None,
        role: str,
        *,
        action: str = "search",
        resource: str = "Observation",
        patients: list[int] | None = None,
        observations: int = 0,
        refused_by: str | None = None,
        address: str = "192.0.2.1",
        subject: int | None = None,
    ) -> None:
        kind = "anonymous" if user is None else "practitioner" if role else "super_admin"
        ids = "{" + ",".join(str(number) for number in range(1, observations + 1)) + "}"
        named = "{" + ",".join(map(str, patients or [])) + "}"
        outcome = "denied" if refused_by else "allowed"
        self.rows.append((at, "bench", user, kind, role or None, action, resource, "{}", "{}", named, ids, outcome, refused_by, kind == "super_admin", address, subject))

    def read(self, person: Person, day: int, pages: int, patients: list[int], hours: tuple[float, float] = (8, 18)) -> None:
        for _ in range(pages):
            some = [self.random.choice(patients)]
            self.event(self.at(day, *hours), person.user, person.role, patients=some, observations=PAGE, address=self.address(person))

    def address(self, person: Person) -> str:
        return OFFICES[person.user % 5] if self.random.random() < 0.7 else f"198.51.100.{person.user % 250}"

    def ordinary(self) -> None:
        for day in range(DAYS):
            for person in self.people:
                if self.works(person, day):
                    self.ordinary_day(person, day)
            for admin in self.admins:
                self.admin_day(admin, day)
        for user in self.sleepers:
            self.event(self.at(-self.random.randrange(15, 60), 9, 17), user, "viewer", patients=[1], observations=5)

    def ordinary_day(self, person: Person, day: int) -> None:
        chance = self.random
        weekday = (self.start + timedelta(days=day)).weekday()
        factor = (1.1, 1.1, 1.0, 1.0, 0.8, 0.5, 0.5)[weekday] * (3 if day in person.busy else 1) * (2.5 if day % 28 == 27 else 1)
        pages = int(person.pages * factor * chance.lognormvariate(0, 0.45)) + 1
        panel = [person.user * 1000 + number for number in range(person.panel)]
        self.read(person, day, pages, chance.sample(panel, max(1, int(len(panel) * chance.uniform(0.3, 1)))))
        self.mistakes(person, day)
        if person.consents and chance.random() < 0.4:
            hour = chance.randrange(8, 17)
            for _ in range(self.poisson(person.consents * chance.uniform(0.5, 1.5))):
                at = self.at(day, hour, hour + 1)
                self.event(at, person.user, person.role, action="create", resource="Consent", patients=[chance.choice(panel)])

    def mistakes(self, person: Person, day: int) -> None:
        """Refusals, and sign-ins of which some fail."""
        chance = self.random
        refusals = self.poisson(0.6) + (chance.randrange(5, 13) if chance.random() < 0.003 else 0)
        for _ in range(refusals):
            layer = chance.choice(["consent", "role", "organization", "not_found", "enrolment"])
            self.event(self.at(day, 8, 18), person.user, person.role, patients=[1], refused_by=layer)
        wrong = chance.choices([0, 1, 2, 5], [90, 7, 2.6, 0.4])[0]
        address = self.address(person)
        for failed in [True] * wrong + [False] * chance.randrange(1, 3):
            self.sign_in(day, person.user, address, failed)

    def sign_in(self, day: int, user: int, address: str, failed: bool, hours: tuple[float, float] = (7, 18)) -> None:
        self.event(
            self.at(day, *hours),
            None,
            "",
            action="execute",
            resource="Session",
            refused_by="token" if failed else None,
            address=address,
            subject=user,
        )

    def admin_day(self, admin: Person, day: int) -> None:
        chance = self.random
        weekday = (self.start + timedelta(days=day)).weekday()
        if weekday < 5 and day not in self.holidays:
            for _ in range(self.poisson(admin.pages)):
                self.event(self.at(day, 8, 18), admin.user, "", resource="User", action="read")
        if chance.random() < admin.on_call:
            self.event(self.at(day, 20, 23.9), admin.user, "", resource="User", action="read")
        elif chance.random() < 0.004:  # Late for once, and no thief.
            self.event(self.at(day, 19.1, 20), admin.user, "", resource="User", action="read")

    def poisson(self, mean: float) -> int:
        """Knuth's way."""
        limit, count, product = 2.718281828 ** -mean, 0, self.random.random()
        while product > limit:
            count, product = count + 1, product * self.random.random()
        return count

    def plant(self, each: int = 4) -> None:
        """So many incidents of each kind, each of somebody else, on days that are judged."""
        known = [person for person in self.people if person.first_day == 0 and person.pages > 5]
        victims = iter(self.random.sample(known, 5 * each))
        sleepers = iter(self.sleepers)
        for number in range(each):
            self.volume(next(victims))
            self.breadth(next(victims))
            self.refusals(next(victims))
            self.consents(next(victims))
            self.guessed(next(victims))
            self.at_night(self.admins[1 + number % 2], number)
            self.awakened(next(sleepers))
            self.sprayed(f"203.0.113.{number + 1}")

    def incident(self, kind: str, who: int | str, day: int | None = None) -> int:
        day = self.random.randrange(LEARNED, DAYS) if day is None else day
        self.incidents.append(Incident(kind, str(who), day))
        return day

    def volume(self, person: Person) -> None:
        """Ten to thirty times what they read on an ordinary day, of their own patients."""
        day = self.incident("volume", person.user)
        panel = [person.user * 1000 + number for number in range(person.panel)]
        self.read(person, day, int(max(person.pages, 10) * self.random.uniform(10, 30)), panel, (0, 24))

    def breadth(self, person: Person) -> None:
        """One page each of people who are not theirs: ten to twenty times as many as usual."""
        day = self.incident("breadth", person.user)
        for patient in range(int(max(person.panel, 12) * self.random.uniform(10, 20))):
            self.event(self.at(day, 8, 18), person.user, person.role, patients=[patient], observations=2)

    def refusals(self, person: Person) -> None:
        day = self.incident("refusals", person.user)
        for number in range(self.random.randrange(40, 150)):
            self.event(self.at(day, 8, 18), person.user, person.role, patients=[number], refused_by="organization")

    def consents(self, person: Person) -> None:
        day = self.incident("consent_changes", person.user)
        hour = self.random.randrange(24)
        for number in range(int((25 + 4 * person.consents) * self.random.uniform(1, 3))):
            self.event(self.at(day, hour, hour + 0.9), person.user, person.role, action="create", resource="Consent", patients=[number])

    def guessed(self, person: Person) -> None:
        """Passwords for one account, from everywhere."""
        day = self.incident("failed_sign_ins_of_account", person.user)
        for number in range(self.random.randrange(12, 60)):
            self.sign_in(day, person.user, f"203.0.113.{50 + number % 200}", True, (0, 24))

    def sprayed(self, address: str) -> None:
        """A password or two for each account, from one address."""
        day = self.incident("failed_sign_ins_from_address", address)
        for person in self.random.sample(self.people, self.random.randrange(30, 150)):
            self.sign_in(day, person.user, address, True, (0, 24))

    def at_night(self, admin: Person, number: int) -> None:
        day = self.incident("privileged_out_of_hours", admin.user, LEARNED + 7 * number + self.random.randrange(7))
        for _ in range(self.random.randrange(1, 7)):
            self.event(self.at(day, 0, 5), admin.user, "", resource="Patient", action="read", patients=[1])

    def awakened(self, user: int) -> None:
        day = self.incident("dormant_account", user, self.random.randrange(LEARNED + 20, DAYS))
        for _ in range(self.random.randrange(3, 15)):
            self.event(self.at(day, 8, 18), user, "viewer", patients=[2], observations=10)
