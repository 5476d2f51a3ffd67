# SPDX-License-Identifier: Apache-2.0
"""The table of bench/peers.py, as text for a terminal or Markdown, and as an SVG."""

HEAD = ("who", "over", "set to", "GB/s", "least..most", "CPU s/GB", "proof", "note")


def _cells(row):
    named = (row["name"], row["medium"], row["setting"])
    if row["failed"]:
        return (*named, "-", "-", "-", "-", f"did not run: {row['failed']}")
    return (*named, f"{row['gbps']:.3g}", f"{row['least']:.3g}..{row['most']:.3g}",
            f"{row['cpu_s_per_gb']:.2f}", row["proof"], row["note"])


def text(rows):
    lines = [HEAD] + [_cells(row) for row in rows]
    wide = [max(len(line[i]) for line in lines) for i in range(len(HEAD))]
    return "\n".join("  ".join(cell.ljust(wide[i]) for i, cell in enumerate(line)).rstrip()
                     for line in lines)


def markdown(rows):
    lines = ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    return "\n".join(lines + ["| " + " | ".join(_cells(row)) + " |" for row in rows])


def svg(rows, title, path):
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "ckptd"  # the same rows make the same file
    from matplotlib import pyplot

    rows = [row for row in rows if not row["failed"]]
    figure, axes = pyplot.subplots(figsize=(9, 0.42 * len(rows) + 1.2))
    for at, row in enumerate(reversed(rows)):
        ours = row["name"].startswith("ckpt")
        axes.barh(at, row["gbps"], color="#1f6f8b" if ours else "#b9c0c7",
                  hatch="//" if row["proof"] != "no" else None, edgecolor="white")
        axes.plot([row["least"], row["most"]], [at, at], color="#333333", linewidth=1)
        axes.text(row["most"], at, f"  {row['gbps']:.2f}", va="center", fontsize=8)
    axes.set_yticks(range(len(rows)),
                    [f"{row['name']} ({row['setting']})" for row in reversed(rows)], fontsize=8)
    axes.set_xlabel("GB/s, median and range; hatched: proven by digest at both ends")
    figure.suptitle(title, fontsize=10, x=0.01, ha="left")
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
