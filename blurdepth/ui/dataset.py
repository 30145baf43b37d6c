"""Tab 5: the dataset versions, and why samples were rejected."""

from __future__ import annotations

import gradio as gr

from blurdepth.ui import html
from blurdepth.workspace import Workspace

_NO_VERSION = html.empty("No dataset version yet", "Accept some samples, then make a version under Train.")


class DatasetTab:
    """The components of this tab.

    Args:
        workspace: the data folder.
    """

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        gr.Markdown("What was kept, and why the rest was not. A version never changes.")
        self.versions = gr.HTML(_NO_VERSION, elem_id="versions")
        self.reasons = gr.HTML("", elem_id="reasons")
        self.place = gr.HTML("")

    def show(self) -> tuple[str, str, str]:
        """Versions, reasons, and where it all lies."""
        place = html.notice(f"Everything lies in {self.workspace.folder}")
        return self._versions(), self._reasons(), place

    def _versions(self) -> str:
        versions = self.workspace.store.versions.versions()
        if not versions:
            return _NO_VERSION
        rows = [
            (
                each.id,
                str(each.samples),
                str(each.frames),
                each.note,
                each.created_at[:16].replace("T", " "),
                each.manifest[:12],
            )
            for each in versions
        ]
        return html.table(("version", "samples", "frames", "note", "made at (UTC)", "manifest"), rows)

    def _reasons(self) -> str:
        reasons = self.workspace.store.samples.reasons()
        if not reasons:
            return ""
        most = max(reasons.values())
        bars = "".join(
            html.bar(number / most, f"{reason or 'no reason'}: {number}") for reason, number in reasons.items()
        )
        return f"<h3>Why samples were rejected</h3>{bars}"
