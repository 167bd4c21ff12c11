# What happens in the virtual machine of vm.nix, which says how to run it, and that it has never run.
import base64
import json

service = "forgejo-runner-controller.service"
forge = "http://ci:for-the-test-only@127.0.0.1:3000/api/v1"

workflows = {
    "good": """
on: workflow_dispatch
jobs:
  good:
    runs-on: plain
    steps:
      - run: |
          git --version && jq --version && node --version
          test "$(id -u)" = 0
          echo made-it
""",
    "bad": """
on: workflow_dispatch
jobs:
  bad:
    runs-on: plain
    steps:
      - run: exit 7
""",
    "long": """
on: workflow_dispatch
jobs:
  long:
    runs-on: plain
    steps:
      - run: sleep 40
""",
    "hasty": """
on: workflow_dispatch
jobs:
  hasty:
    runs-on: hasty
    steps:
      - run: sleep 600
""",
    "replaced": """
on: workflow_dispatch
concurrency:
  group: replaced
  cancel-in-progress: true
jobs:
  replaced:
    runs-on: plain
    steps:
      - run: sleep 30
""",
    "many": """
on: workflow_dispatch
jobs:
  many:
    runs-on: plain
    strategy:
      matrix:
        number: [1, 2, 3, 4, 5]
    steps:
      - run: sleep 5
""",
    "system": """
on: workflow_dispatch
jobs:
  system:
    runs-on: system
    steps:
      - run: systemctl is-system-running --wait || systemctl --failed
      - run: systemctl show --property=Version
""",
}


def api(method: str, path: str, body: dict | None = None) -> str:
    data = f"--json '{json.dumps(body)}'" if body is not None else ""
    return machine.succeed(f"curl --silent --show-error --fail-with-body -X {method} {data} '{forge}{path}'")


def begin(workflow: str) -> int:
    started = api(
        "POST",
        f"/repos/ci/work/actions/workflows/{workflow}.yaml/dispatches",
        {"ref": "main", "return_run_info": True},
    )
    return int(json.loads(started)["id"])


def wait_for_run(run: int, states: str, timeout: int = 180) -> None:
    machine.wait_until_succeeds(
        f"curl --silent --fail '{forge}/repos/ci/work/actions/runs/{run}' | jq -e '.status | test(\"^({states})$\")'",
        timeout=timeout,
    )


def machines() -> list[str]:
    listed = machine.succeed("runner-status status --json | jq -r '.active_containers[].name'")
    return listed.split()


def wait_until_busy() -> str:
    machine.wait_until_succeeds(
        "runner-status status --json | jq -e '[.active_containers[] | select(.phase == \"busy\")] | length > 0'",
        timeout=120,
    )
    return machines()[0]


def wait_until_nothing_is_left() -> None:
    machine.wait_until_succeeds(
        "runner-status status --json | jq -e '.active_containers == []'", timeout=120
    )
    machine.wait_until_succeeds("test -z \"$(machinectl list --no-legend)\"", timeout=60)
    machine.succeed("test -z \"$(ip -o link show type veth)\"")
    machine.succeed("test -z \"$(ip netns list)\"")
    machine.succeed("test -z \"$(find /nix/var/nix/gcroots/forgejo-runner-controller -type l 2>/dev/null)\"")
    machine.succeed("! grep -q /var/lib/forgejo-runner-controller/ /proc/mounts")
    runners = json.loads(api("GET", "/repos/ci/work/actions/runners"))
    assert (runners["runners"] if isinstance(runners, dict) else runners) in ([], None), runners


def start_service() -> None:
    machine.succeed(f"systemctl start {service}")
    machine.wait_until_succeeds("curl --silent --fail http://127.0.0.1:8080/health", timeout=60)


with subtest("Forgejo is up, with a repository and its workflows"):
    machine.wait_for_unit("forgejo.service")
    machine.wait_for_open_port(3000)
    machine.succeed(
        "su -l forgejo -s /bin/sh -c 'GITEA_WORK_DIR=/var/lib/forgejo FORGEJO_WORK_DIR=/var/lib/forgejo forgejo admin user create"
        " --username ci --password for-the-test-only --email ci@localhost --admin --must-change-password=false'"
    )
    api("POST", "/user/repos", {"name": "work", "auto_init": True, "default_branch": "main"})
    api("PATCH", "/repos/ci/work", {"has_actions": True})
    for name, text in workflows.items():
        content = base64.b64encode(text.encode()).decode()
        api(
            "POST",
            f"/repos/ci/work/contents/.forgejo/workflows/{name}.yaml",
            {"content": content, "branch": "main", "message": name},
        )

with subtest("the service starts with a token of the least rights"):
    token = json.loads(api("POST", "/users/ci/tokens", {"name": "runner", "scopes": ["write:repository"]}))["sha1"]
    machine.succeed(f"umask 077; printf %s '{token}' >/var/lib/forge-token")
    start_service()
    machine.succeed("runner-status status")

with subtest("a job succeeds in a container of its own, and nothing of it stays"):
    run = begin("good")
    wait_for_run(run, "success|failure")
    wait_for_run(run, "success", timeout=1)
    wait_until_nothing_is_left()

with subtest("a job that fails is a failure"):
    wait_for_run(begin("bad"), "failure")
    wait_until_nothing_is_left()

with subtest("a job that is cancelled loses its container long before its end"):
    first = begin("replaced")
    wait_for_run(first, "running")
    wait_until_busy()
    second = begin("replaced")
    wait_for_run(first, "cancelled", timeout=20)
    wait_for_run(second, "success")
    wait_until_nothing_is_left()

with subtest("a job over its time is ended"):
    wait_for_run(begin("hasty"), "failure|cancelled", timeout=90)
    wait_until_nothing_is_left()

with subtest("a job outlives a restart of the service, and one that was killed"):
    run = begin("long")
    wait_for_run(run, "running")
    name = wait_until_busy()
    leader = machine.succeed(f"machinectl show {name} --property=Leader")
    machine.succeed(f"systemctl restart {service}")
    machine.succeed(f"systemctl kill --signal=KILL {service}")
    machine.wait_until_succeeds("curl --silent --fail http://127.0.0.1:8080/health", timeout=60)
    assert machine.succeed(f"machinectl show {name} --property=Leader") == leader
    wait_for_run(run, "success")
    wait_until_nothing_is_left()

with subtest("never more machines than allowed, and all five jobs are done"):
    run = begin("many")
    most = 0
    while True:
        most = max(most, len(machines()))
        status = json.loads(api("GET", f"/repos/ci/work/actions/runs/{run}"))["status"]
        if status in ("success", "failure", "cancelled"):
            break
    assert status == "success", status
    assert most <= 2, most
    wait_until_nothing_is_left()

with subtest("a job that needs a system gets one"):
    wait_for_run(begin("system"), "success")
    wait_until_nothing_is_left()

with subtest("after a power cut the host ends what was lost, and serves the next job"):
    run = begin("long")
    wait_for_run(run, "running")
    wait_until_busy()
    machine.crash()
    machine.start()
    machine.wait_for_unit("forgejo.service")
    machine.wait_for_open_port(3000)
    start_service()
    wait_for_run(run, "failure|cancelled")
    wait_until_nothing_is_left()
    wait_for_run(begin("good"), "success")
    wait_until_nothing_is_left()
