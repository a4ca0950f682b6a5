"""The page of suggestions: one HTML file with thumbnails that needs no script and no network."""

from collections import Counter
from collections.abc import Sequence

from neocog.curation.figures import figures, percent, section, skipped
from neocog.curation.findings import Findings, ToLabel, WrongLabel
from neocog.pages.findings import escaped, findings_page

__all__ = ["page"]


# Pairs of classes that are shown.
_PAIRS = 40


def page(found: Findings) -> str:
    """The page as text."""
    source = found.embedding.source
    sections = []
    if found.checked:
        sections.append(_wrong_labels(found))
    if found.unlabeled:
        sections.append(_to_label(found))
    if found.embedding.skipped:
        sections.append(skipped(found.embedding))
    body = "".join(
        [
            f"<header><h1>{escaped(source.name)} <small>{_counts(found)}</small></h1></header>\n",
            _summary(found),
            *(f'<p class="hint">{escaped(note, 1000)}</p>\n' for note in found.notes),
            *sections,
            _methods(found),
        ]
    )
    return findings_page(f"{source.name}: suggestions", body)


def _counts(found: Findings) -> str:
    classes = len(found.embedding.classes)
    of = f" in {classes:,} {'class' if classes == 1 else 'classes'}" if classes else ""
    return f"{found.labeled:,} labeled pictures{of}, {found.unlabeled:,} without a label"


def _summary(found: Findings) -> str:
    items = []
    if found.checked:
        bad = ' class="bad"' if found.wrong_labels else ""
        items.append(
            f'<li><a href="#wrong-labels"{bad}><b>{len(found.wrong_labels):,}</b>labels look wrong'
            "</a></li>"
        )
    if found.unlabeled:
        items.append(
            f'<li><a href="#to-label"><b>{len(found.to_label):,}</b>pictures to label next</a></li>'
        )
    if found.embedding.skipped:
        items.append(
            f'<li><a href="#skipped" class="bad"><b>{len(found.embedding.skipped):,}</b>cannot be '
            "read</a></li>"
        )
    if found.accuracy is not None:
        items.append(
            f'<li><span class="none"><b>{100 * found.accuracy:.1f} %</b>accuracy in '
            "cross-validation</span></li>"
        )
    return f'<nav aria-label="What was found"><ul class="summary">{"".join(items)}</ul></nav>\n'


def _wrong_labels(found: Findings) -> str:
    wrong = found.wrong_labels
    if not wrong:
        return section("wrong-labels", "Labels that look wrong", 0, "<p>None do.</p>\n")
    inside = (
        "<p>These look like another class. Look at each: its label may be wrong, or the picture "
        "unusual for its class.</p>\n"
        f"{_pairs(wrong)}{figures(found.embedding, wrong, _suspicion)}"
    )
    return section("wrong-labels", "Labels that look wrong", len(wrong), inside)


def _pairs(wrong: Sequence[WrongLabel]) -> str:
    pairs = Counter((one.label, one.suggested) for one in wrong).most_common(_PAIRS)
    most = pairs[0][1]
    rows = "".join(
        f'<tr><th scope="row">{escaped(label, 80)}</th><td>{escaped(suggested, 80)}</td>'
        f'<td class="number">{count:,}</td><td class="bar">'
        '<svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect width="{100 * count / most:.1f}" height="10"/></svg></td></tr>'
        for (label, suggested), count in pairs
    )
    return (
        '<div class="card scroll" tabindex="0" role="group" aria-label="Labels that look wrong, by '
        'class"><table><thead><tr><th scope="col">labeled</th><th scope="col">looks like</th>'
        '<th scope="col" class="number">pictures</th><td></td></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>\n"
    )


def _suspicion(one: WrongLabel) -> str:
    return (
        f"labeled {escaped(one.label, 60)} ({percent(one.label_probability)})<br>looks like "
        f"<b>{escaped(one.suggested, 60)}</b> ({percent(one.probability)})"
    )


def _to_label(found: Findings) -> str:
    whose = (
        "the network"
        if found.by == "network"
        else "a last layer that was fitted on the labeled pictures"
    )
    inside = (
        f"<p>Of these, {whose} is least certain, and they are unlike each other. Begin with the "
        "first ones.</p>\n"
        f"{figures(found.embedding, found.to_label, _guesses)}"
    )
    return section("to-label", "To label next", len(found.to_label), inside)


def _guesses(one: ToLabel) -> str:
    guesses = "<br>".join(f"{escaped(label, 60)} ({percent(p)})" for label, p in one.best)
    return f"{guesses}<br>entropy {one.entropy:.2f}"


def _methods(found: Findings) -> str:
    parts = []
    if found.checked:
        parts.append(
            "<h3>Labels that look wrong</h3><p>A last layer (logistic regression) is fitted on the "
            f"features of the {found.checked:,} pictures in cross-validation, so that each picture "
            "gets probabilities by a layer that has not seen its label. Confident learning "
            "(C. Northcutt, L. Jiang, I. Chuang, 2021) compares them with the labels: a picture is "
            "listed if another class is at least as probable for it as that class is, on average, "
            "for its own pictures, and more probable than its label. Those with the largest "
            "difference come first.</p>"
        )
    if found.unlabeled:
        parts.append(
            "<h3>To label next</h3><p>The first picture is the one whose probabilities have the "
            "largest entropy. Each one after it has the largest product of its entropy and the "
            "distance of its features from the nearest picture that was chosen before, so that "
            "pictures that are nearly the same are not all listed.</p>"
        )
    return (
        '<section aria-labelledby="methods"><h2 id="methods">How this was found</h2>'
        f'<div class="card">{"".join(parts)}</div></section>\n'
    )
