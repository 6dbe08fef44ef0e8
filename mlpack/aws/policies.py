"""Policies of IAM, as values: what a target's verbs ask for, and of what.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

ANY = "*"
"""Stands in a resource's name for what is not known: a region, an account."""


@dataclass(frozen=True)
class Statement:
    """What is allowed of what.

    Attributes:
        sid: what it is for, letters and digits.
        actions: such as ``ecs:UpdateService``.
        resources: names of resources, with ``*`` in them where it must be.
        condition: a condition, as the grammar has it.
    """

    sid: str
    actions: Sequence[str]
    resources: Sequence[str]
    condition: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def document(statements: Sequence[Statement]) -> Mapping[str, Any]:
    """A policy's document, for JSON."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": each.sid,
                "Effect": "Allow",
                "Action": sorted(each.actions),
                "Resource": list(each.resources),
                **({"Condition": dict(each.condition)} if each.condition else {}),
            }
            for each in statements
        ],
    }


def passing(service: str, *roles: str) -> Statement:
    """Letting a service of AWS, such as ``lambda.amazonaws.com``, run as some roles."""
    return Statement(
        "PassRoleTo" + service.partition(".")[0].title().replace("-", ""),
        ["iam:PassRole"],
        roles,
        {"StringEquals": {"iam:PassedToService": service}},
    )


def bucket_policy(bucket: str, prefix: str) -> Mapping[str, Any]:
    """What it takes to upload versions and to keep their index; nothing is ever deleted."""
    below = f"{prefix}/" if prefix else ""
    return document(
        [
            # Without it a missing object is refused instead of missing. It is for the whole
            # bucket, since asking whether the bucket is there names no prefix.
            Statement("LookAtBucket", ["s3:ListBucket"], [f"arn:aws:s3:::{bucket}"]),
            Statement(
                "ReadAndWriteVersions",
                ["s3:GetObject", "s3:PutObject"],
                [f"arn:aws:s3:::{bucket}/{below}*"],
            ),
        ]
    )


def reading_logs(group: str) -> Statement:
    """Reading the lines of a group of logs, which is given by its name's ARN."""
    return Statement(
        "ReadLogs", ["logs:DescribeLogStreams", "logs:GetLogEvents"], [group, f"{group}:*"]
    )
