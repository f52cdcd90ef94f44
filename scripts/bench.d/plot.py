"""A plot of ratios with their intervals, as SVG and without a library."""

from html import escape

WIDTH, LEFT, ROW, LEGEND, BOTTOM = 760, 210, 18, 42, 40
COLOURS = ("#1f6fb2", "#c4571a", "#2f8f4e", "#7a4fa3")


def ticks(low, high):
    """Round numbers from low to high."""
    step = next(step for step in (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0) if (high - low) / step <= 10)
    first = int(low / step)
    return [number * step for number in range(first, int(high / step) + 2)]


def svg(title, axis, series):
    """`series` has for each side a dictionary: row -> (value, low, high)."""
    names = list(dict.fromkeys(name for values in series.values() for name in values))
    points = [bound for values in series.values() for point in values.values() for bound in point]
    marks = ticks(min([1.0, *points]), max([1.0, *points]))
    low, high = marks[0], marks[-1]
    top = LEGEND + ROW * len(series) + 12
    height = top + ROW * len(names) + BOTTOM

    def x(value):
        return LEFT + (value - low) / (high - low) * (WIDTH - LEFT - 20)

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="10" y="22" font-size="15" font-weight="bold">{escape(title)}</text>',
    ]
    for number, (side, colour) in enumerate(zip(series, COLOURS)):
        y = LEGEND + ROW * number
        out.append(f'<circle cx="14" cy="{y}" r="4" fill="{colour}"/><text x="23" y="{y + 4}">{escape(side)}</text>')
    for mark in marks:
        bold = abs(mark - 1) < 1e-9
        out.append(
            f'<line x1="{x(mark):.1f}" x2="{x(mark):.1f}" y1="{top - 8}" y2="{height - BOTTOM}" '
            f'stroke="{"#333" if bold else "#ddd"}"/>'
            f'<text x="{x(mark):.1f}" y="{height - BOTTOM + 16}" text-anchor="middle">{mark:.2f}</text>'
        )
    out.append(f'<text x="{(LEFT + WIDTH) / 2}" y="{height - 8}" text-anchor="middle">{escape(axis)}</text>')
    for row, name in enumerate(names):
        y = top + ROW * row + ROW / 2
        out.append(f'<text x="{LEFT - 10}" y="{y + 4}" text-anchor="end">{escape(name)}</text>')
        for number, (values, colour) in enumerate(zip(series.values(), COLOURS)):
            if name in values:
                value, start, end = values[name]
                where = y + (number - (len(series) - 1) / 2) * 4
                out.append(
                    f'<line x1="{x(start):.1f}" x2="{x(end):.1f}" y1="{where}" y2="{where}" stroke="{colour}" stroke-width="2"/>'
                    f'<circle cx="{x(value):.1f}" cy="{where}" r="3" fill="{colour}"/>'
                )
    return "\n".join([*out, "</svg>", ""])


def write(directory, name, *drawing):
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{name}.svg"
    path.write_text(svg(*drawing))
    print(f"Plot: {path}\n")
