"""Create the Prefect automations that send a notification when a flow run fails or new models are rejected.

Create them with `python -m flows.automations --webhook URL`. A second call replaces the automations of the first.
"""

import asyncio
import sys
from typing import Annotated, Any
from uuid import UUID

import typer
from prefect.automations import Automation, EventTrigger
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import get_client
from prefect.events.actions import SendNotification
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL

WEBHOOK_BLOCK = "kadr"
"""Name of the block that stores the address of the webhook."""

AUTOMATIONS = {
    "kadr: a run failed": ("Failed", "Crashed", "TimedOut", "Late"),
    "kadr: new models were rejected": ("Rejected",),
}
"""Name of each automation -> states of a flow run that trigger it. A run is late if no worker has started it."""

FLOWS = ("pipeline", "refresh", "score")
SUBJECT = "{{ flow.name }}: {{ flow_run.state.name }}"
BODY = """{{ flow_run.state.message }}

Run: {{ flow_run|ui_url }}
Tags: {{ flow_run.tags|join(', ') }}"""


def build_automation(name: str, block_id: UUID) -> Automation:
    """Return the automation with this name.

    Args:
        name: name in AUTOMATIONS.
        block_id: ID of the notification block that sends the message.
    """
    trigger = EventTrigger(
        match={"prefect.resource.id": "prefect.flow-run.*"},
        match_related={"prefect.resource.role": "flow", "prefect.resource.name": list(FLOWS)},
        for_each={"prefect.resource.id"},
        expect={f"prefect.flow-run.{state}" for state in AUTOMATIONS[name]},
    )
    notification = SendNotification(block_document_id=block_id, subject=SUBJECT, body=BODY)
    return Automation(name=name, description="Created by flows/automations.py", trigger=trigger, actions=[notification])


async def create_automations(block_id: UUID) -> None:
    """Create the automations on the Prefect server, or replace them if they exist."""
    async with get_client() as client:
        for name in AUTOMATIONS:
            automation = build_automation(name, block_id)
            if existing := await client.read_automations_by_name(name):
                automation.id = existing[0].id
                await automation.aupdate()
            else:
                await automation.acreate()


async def save_webhook(url: str) -> UUID:
    """Store the address of a webhook in a notification block, and return the ID of the block."""
    message: dict[str, Any] = {"text": "{{subject}}\n{{body}}"}
    block = CustomWebhookNotificationBlock(name=WEBHOOK_BLOCK, url=url, json_data=message)
    block_id: UUID = await block.save(WEBHOOK_BLOCK, overwrite=True)
    return block_id


async def find_block(slug: str) -> UUID:
    """Return the ID of an existing block.

    Args:
        slug: type and name of the block, e.g. `slack-webhook/team`, as in `prefect block ls`.

    Raises:
        ObjectNotFound: the block does not exist.
    """
    block_type, _, name = slug.partition("/")
    async with get_client() as client:
        block = await client.read_block_document_by_name(name, block_type, include_secrets=False)
    return block.id


async def _create(webhook: str | None, block: str | None) -> None:
    await create_automations(await save_webhook(webhook) if webhook else await find_block(str(block)))


app = typer.Typer(pretty_exceptions_enable=False)


@app.command()
def main(
    webhook: Annotated[
        str | None,
        typer.Option(metavar="URL", help='Address that receives the notifications as a POST request: {"text": "..."}.'),
    ] = None,
    block: Annotated[
        str | None,
        typer.Option(
            metavar="TYPE/NAME",
            help="Existing notification block that sends the notifications, e.g. slack-webhook/team.",
        ),
    ] = None,
) -> None:
    """Send a notification when a flow run fails, crashes or is late, and when new models are rejected."""
    if (webhook is None) == (block is None):
        sys.exit("Expected one of the options --webhook and --block.")
    if not PREFECT_API_URL.value():
        sys.exit("Automations need a Prefect server. Start a server and set PREFECT_API_URL (docs/flows.md).")
    try:
        asyncio.run(_create(webhook, block))
    except ObjectNotFound:
        sys.exit(f"The Prefect server has no block {block!r}. `prefect block ls` lists the blocks.")
    for name in AUTOMATIONS:
        sys.stdout.write(f"{name}\n")


if __name__ == "__main__":
    app()
