"""The table that leads from each heading of the original guide to ours: nothing of it is
left out, and what tests a row is there.
"""

import re
import shlex

import botocore.session
import pytest

from tests import ROOT
from tests.project.test_deploy import GUIDE, mapping

#: The headings of the original guide, and what it names at its end.
HEADINGS = """\
Password Reset - Deployment Guide
Table of Contents
Pre-Deployment Checklist
Code Review
Documentation Review
Security Review
Infrastructure Review
Environment Configuration
Required Environment Variables
Environment Variable Validation
Database Setup
1. Create Migration
2. Run Migration in Production
3. Verify Migration
4. Database Permissions
Email Service Configuration
Gmail SMTP Setup
AWS SES Setup
SendGrid Setup
Email Template Configuration
SPF and DKIM Configuration
Rate Limiting Configuration
Redis Setup
Rate Limit Configuration
Security Hardening
1. HTTPS Enforcement
2. Database Connection Security
3. Environment Variable Security
4. Token Security Audit
Deployment Steps
Step 1: Prepare Release
Step 2: Build Application
Step 3: Deploy to Server
Step 4: Smoke Tests
Post-Deployment Verification
Automated Tests
Manual Verification Checklist
Monitoring Setup
Application Metrics
Logging
Alerting
Maintenance Tasks
Daily Tasks
Weekly Tasks
Monthly Tasks
Rollback Procedures
Immediate Rollback
Database Rollback
Feature Flag Rollback
Troubleshooting
Email Not Received
Rate Limit Not Working
Token Validation Failing
High CPU/Memory Usage
Related: Architecture, Troubleshooting
""".splitlines()
ROWS = mapping()
#: Of a heading that has only others below it.
BELOW = "the rows below"


def test_every_heading_of_the_original_guide_has_its_row() -> None:
    assert [row[0] for row in ROWS] == HEADINGS


def test_a_row_that_leaves_its_test_to_others_has_others_below() -> None:
    parents = [row[0] for row in ROWS if row[3] == BELOW]
    own = {
        "Pre-Deployment Checklist": "Code Review",
        "Environment Configuration": "Required Environment Variables",
        "Database Setup": "1. Create Migration",
        "Rate Limiting Configuration": "Redis Setup",
        "Security Hardening": "1. HTTPS Enforcement",
        "Deployment Steps": "Step 1: Prepare Release",
        "Post-Deployment Verification": "Automated Tests",
        "Maintenance Tasks": "Daily Tasks",
        "Rollback Procedures": "Immediate Rollback",
        "Troubleshooting": "Email Not Received",
    }
    assert {name: HEADINGS[HEADINGS.index(name) + 1] for name in parents} == own


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_what_tests_a_row_is_there(row: list[str]) -> None:
    """Files by their path, modules of tests by their name alone too."""
    if row[3] == BELOW:
        return
    named = re.findall(r"`([\w./-]+)[^`]*`", row[3])
    paths = [name for name in named if "/" in name or "." in name]
    assert paths, "a row names what tests it"
    assert [path for path in paths if not is_there(path)] == []


def is_there(path: str) -> bool:
    if "/" in path:
        return (ROOT / path).exists()
    return len([*(ROOT / "tests").rglob(path), *(ROOT / "deploy").rglob(path)]) == 1


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_row_leads_to_what_there_is_here(row: list[str]) -> None:
    assert re.search(r"\]\([#\w./-]+\)|^this page$|^Contents", row[1])
    for target in re.findall(r"\]\((?!#)([^)#]+)", row[1]):
        assert (ROOT / "deploy" / target).exists()


def test_nothing_was_only_read() -> None:
    assert not re.search(r"read only|by reading|not tested", str(ROWS), re.IGNORECASE)


#: RFC 7208, 4.6 and RFC 7489, 6.4, as far as the guide goes.
SPF = r"v=spf1( [-~?+]?(include:[\w.-]+|all))+"
DMARC = r"v=DMARC1; p=(none|quarantine|reject)(; rua=mailto:\S+@\S+)?"


def test_the_records_of_the_domain_can_be_read() -> None:
    records = re.findall(r"^(v=\S+.*?)(?: {2,}.*)?$", GUIDE, re.MULTILINE)
    assert len(records) == 4
    assert [r for r in records if not re.fullmatch(f"{SPF}|{DMARC}", r)] == []


def aws_commands() -> list[list[str]]:
    text = GUIDE.replace("\\\n", " ")
    found = re.findall(
        r"^\(?.*?\b(aws [a-z0-9]+ [a-z].*?)(?:\)|>|$)", text, re.MULTILINE
    )
    return [shlex.split(each) for each in found]


@pytest.mark.parametrize("command", aws_commands(), ids=" ".join)
def test_amazon_knows_the_command_and_its_options(command: list[str]) -> None:
    """By the models of its own library, from which its command line is made."""
    _aws, service, operation, *rest = command
    model = botocore.session.Session().get_service_model(service)
    name = operation.title().replace("-", "")
    members = model.operation_model(name).input_shape.members
    known = {re.sub(r"(?<!^)([A-Z])", r"-\1", each).lower() for each in members}
    options = {word[2:] for word in rest if word.startswith("--")}
    assert options - {"query", "output"} <= known


def test_the_commands_of_amazon_are_found() -> None:
    assert len(aws_commands()) == 5
