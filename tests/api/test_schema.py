"""api/rest/schema.py: the OpenAPI document is whole, true, and its examples work."""

import json
import re

import msgspec
import pytest

from hawse.api.rest.examples import EXAMPLES

PATHS = {
    "/v1/status": {"get"},
    "/healthz": {"get"},
    "/readyz": {"get"},
    "/metrics": {"get"},
    "/v1/sessions": {"get", "post"},
    "/v1/sessions/{session}/extend": {"post"},
    "/v1/sessions/{session}/policies": {"get"},
    "/v1/sessions/{session}": {"get", "patch", "delete"},
    "/v1/sessions/{session}/jobs": {"get", "post"},
    "/v1/sessions/{session}/jobs/{job}": {"get", "delete"},
    "/v1/sessions/{session}/jobs/{job}/signal": {"post"},
    "/v1/sessions/{session}/jobs/{job}/link": {"get"},
    "/v1/surroundings": {"get"},
    "/v1/sessions/{session}/attachments": {"get", "post"},
    "/v1/sessions/{session}/attachments/{attachment}": {"delete"},
    "/v1/sessions/{session}/attachments/{attachment}/take": {"post"},
    "/v1/sessions/{session}/grants": {"get", "post"},
    "/v1/sessions/{session}/grants/{whom}": {"delete"},
    "/v1/sessions/{session}/links": {"post"},
    "/v1/links/redeem": {"post"},
    "/v1/roles": {"get"},
    "/v1/channels": {"get", "post"},
    "/v1/channels/{channel}": {"get", "patch", "delete"},
    "/v1/channels/{channel}/test": {"post"},
    "/v1/notices": {"get"},
    "/v1/notices/{notice}": {"get"},
    "/v1/notices/{notice}/send": {"post"},
    "/v1/sessions/{session}/events": {"get"},
    "/v1/sessions/{session}/logs/{job}": {"get"},
    "/v1/sessions/{session}/logs/{job}/screen": {"get"},
    "/v1/sessions/{session}/logs/{job}/timing": {"get"},
    "/v1/sessions/{session}/give": {"post"},
    "/v1/me": {"get"},
    "/v1/users": {"get", "post"},
    "/v1/users/{user}": {"get", "patch", "delete"},
    "/v1/users/{user}/disable": {"post"},
    "/v1/users/{user}/enable": {"post"},
    "/v1/tokens": {"get", "post"},
    "/v1/tokens/{token}": {"delete"},
    "/v1/tokens/{token}/renew": {"post"},
    "/v1/projects": {"get", "post"},
    "/v1/projects/{project}": {"get", "patch"},
    "/v1/projects/{project}/retire": {"post"},
    "/v1/projects/{project}/revive": {"post"},
    "/v1/audit": {"get"},
}




@pytest.fixture(scope="module")
def schema(rest):
    async def main():
        async with rest.stage() as stage:
            first = await rest.ask(stage.path, "GET", "/schema/openapi.json")
            assert (await rest.ask(stage.path, "GET", "/schema")).body == first.body
            assert first.headers["content-type"].startswith("application/vnd.oai.openapi+json")
            return first.json

    return rest.run(main())


BODILESS = {
    "disable_user", "enable_user", "renew_token", "retire_project", "revive_project", "test_channel",
    "send_notice_again",
}  # fmt: skip  # their path says all


def test_every_path_is_there_and_no_other(schema):
    assert {path: set(operations) for path, operations in schema["paths"].items()} == PATHS


def test_every_reference_leads_somewhere(schema):
    for name in set(re.findall(r'"#/components/([^"]+)"', json.dumps(schema))):
        kind, _, key = name.partition("/")
        assert key in schema["components"][kind], name


def test_every_operation_tells_its_answer_its_problems_and_what_it_does(schema):
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            responses = operation["responses"]
            assert {"4XX", "5XX"} < set(responses), (method, path)
            (success,) = (code for code in responses if code.startswith("2"))
            for content in responses[success]["content"].values():
                assert content["schema"]
            assert operation["summary"]
            assert operation["tags"]
            if method in ("post", "patch") and operation["operationId"] not in BODILESS:
                body = operation["requestBody"]["content"]["application/json"]
                name = body["schema"]["$ref"].rsplit("/", 1)[1]
                assert schema["components"]["schemas"][name]["additionalProperties"] is False
                assert body["examples"]


def test_every_parameter_has_its_limit(schema):
    for operations in schema["paths"].values():
        for operation in operations.values():
            for parameter in operation["parameters"]:
                told = parameter["schema"]
                assert {"maxLength", "maximum", "enum", "pattern"} & set(told), parameter


def test_the_examples_are_requests_that_work(rest):
    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:
            made = await http.ask("POST", "/v1/sessions", EXAMPLES["create_session"])
            assert made.status == 201
            base = f"/v1/sessions/{made.json['id']}"
            assert (await http.ask("PATCH", base, EXAMPLES["describe_session"])).status == 200
            assert (await http.ask("POST", f"{base}/jobs", EXAMPLES["run_job"])).status == 201
            name = made.json["jobs"][0]["name"]
            await http.ask("GET", f"{base}/jobs/{name}?wait_s=10&until=started")
            assert (await http.ask("POST", f"{base}/jobs/{name}/signal", EXAMPLES["signal_job"])).status == 200
            assert (await http.ask("POST", f"{base}/attachments", EXAMPLES["attach"] | {"job": name})).status == 201

    rest.run(main())


def test_a_problem_document_has_the_declared_fields(rest, schema):
    declared = set(schema["components"]["schemas"]["ProblemDocument"]["required"])

    async def main():
        async with rest.stage() as stage:
            answer = await rest.ask(stage.path, "GET", "/nope")
            assert set(answer.json) == declared == set(EXAMPLES["problem"]) - {"version"}
            msgspec.json.decode(answer.body)

    rest.run(main())
