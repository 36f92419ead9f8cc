//! Charts as SVG, drawn by plotters. Each has a title and a description for whoever does not see it.
//!
//! plotters paints in fixed colours. Ours are names: `style.css` gives each of them the page's colour, light or dark.

use std::error::Error;

use jiff::{ToSpan, civil::Date};
use maud::{Markup, PreEscaped, html};
use plotters::{
    coord::{Shift, types::RangedCoordf64},
    prelude::{
        Cartesian2d, ChartBuilder, ChartContext, Circle, Color, Cross, DrawingArea, IntoDrawingArea,
        IntoFont, PathElement, RGBColor, Rectangle, SVGBackend, ShapeStyle, TextStyle,
    },
    style::text_anchor::{HPos, Pos, VPos},
};

use crate::words;

const INK: RGBColor = RGBColor(1, 1, 1);
const GRID: RGBColor = RGBColor(2, 2, 2);
const OBJECTIVE: RGBColor = RGBColor(3, 3, 3);
const FAILED: RGBColor = RGBColor(4, 4, 4);
/// Of the series, in their order. Their dashes are in `style.css`, too.
const SERIES: [RGBColor; 4] =
    [RGBColor(16, 0, 0), RGBColor(17, 0, 0), RGBColor(18, 0, 0), RGBColor(19, 0, 0)];

const SIZE: (u32, u32) = (560, 200);
const SPARK: (u32, u32) = (200, 40);

/// What a chart is called, and what it shows, in words.
pub(crate) struct Caption {
    /// Names it within the page.
    pub(crate) id: String,
    /// What it is of.
    pub(crate) title: String,
    /// What somebody who sees it sees.
    pub(crate) says: String,
}

/// The days that a chart shows.
#[derive(Clone, Copy)]
pub(crate) struct Days {
    pub(crate) first: Date,
    pub(crate) count: u32,
}

/// What is measured on the upright axis.
#[derive(Clone, Copy)]
pub(crate) enum Measure {
    Seconds,
    Bytes,
    Percent,
    Dollars,
}

/// Values over time: days since the first one began, and the value. `None` is a gap.
pub(crate) type Points = Vec<(f64, Option<f64>)>;

/// One line.
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) points: Points,
}

/// A line that should not be crossed.
#[derive(Clone)]
pub(crate) struct Objective {
    pub(crate) name: String,
    pub(crate) value: f64,
}

/// One mark of a chart of marks.
pub(crate) struct Mark {
    pub(crate) day: f64,
    pub(crate) value: f64,
    pub(crate) kind: MarkKind,
}

/// How a mark looks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum MarkKind {
    Filled,
    Open,
    Crossed,
}

/// One upright bar, in as many parts as there are series.
pub(crate) struct Bar {
    pub(crate) name: String,
    pub(crate) parts: Vec<f64>,
    /// Whether a cross stands above it.
    pub(crate) is_failed: bool,
}

/// Measured values by size, and the line through them.
pub(crate) struct BySize {
    /// Size in bytes, and the value.
    pub(crate) points: Vec<(f64, f64)>,
    /// The line, by its ends.
    pub(crate) fit: [(f64, f64); 2],
    /// Where it would get to.
    pub(crate) goes_on_to: Option<(f64, f64)>,
}

type Drawn<T = ()> = Result<T, Box<dyn Error>>;
type Area<'s> = DrawingArea<SVGBackend<'s>, Shift>;
type Chart<'c, 's> = ChartContext<'c, SVGBackend<'s>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// Lines over the days, with an objective.
pub(crate) fn lines(
    caption: &Caption,
    days: Days,
    measure: Measure,
    series: &[Series],
    objective: Option<&Objective>,
) -> Markup {
    let values = series.iter().flat_map(|line| line.points.iter().filter_map(|(_, value)| *value));
    let top = values.chain(objective.map(|line| line.value)).fold(0.0, f64::max);
    let unit = Unit::of(measure, top);
    let drawn = draw(SIZE, |area| {
        let mut chart = over_days(area, days, unit, top)?;
        for (line, color) in series.iter().zip(SERIES.iter().cycle()) {
            draw_line(&mut chart, &line.points, unit, color.stroke_width(2))?;
        }
        draw_objective(&mut chart, f64::from(days.count), unit, objective)
    });
    let names = series.iter().map(|line| line.name.as_str());
    figure(caption, drawn, &legend(names, objective, "line"))
}

/// Marks over the days, with objectives that hold for some of them.
pub(crate) fn marks(
    caption: &Caption,
    days: Days,
    measure: Measure,
    marks: &[Mark],
    objectives: &[Objective],
    kinds: &[(MarkKind, &str)],
) -> Markup {
    let values = marks.iter().map(|mark| mark.value);
    let top = values.chain(objectives.iter().map(|line| line.value)).fold(0.0, f64::max);
    let unit = Unit::of(measure, top);
    let drawn = draw(SIZE, |area| {
        let mut chart = over_days(area, days, unit, top)?;
        for objective in objectives {
            draw_objective(&mut chart, f64::from(days.count), unit, Some(objective))?;
        }
        for mark in marks {
            let at = (mark.day, mark.value / unit.worth);
            match mark.kind {
                MarkKind::Filled => chart.draw_series([Circle::new(at, 5, SERIES[0].filled())]).map(drop)?,
                MarkKind::Open => {
                    chart.draw_series([Circle::new(at, 5, SERIES[0].stroke_width(2))]).map(drop)?;
                }
                MarkKind::Crossed => {
                    chart.draw_series([Cross::new(at, 5, FAILED.stroke_width(3))]).map(drop)?;
                }
            }
        }
        Ok(())
    });
    let legend = html! {
        @for (kind, name) in kinds {
            @let symbol = match kind { MarkKind::Filled => "●", MarkKind::Open => "○", MarkKind::Crossed => "✖" };
            li { span class=(if *kind == MarkKind::Crossed { "mark failed" } else { "mark" }) aria-hidden="true" { (symbol) } " " (name) }
        }
        @for objective in objectives { (objective_key(objective)) }
    };
    figure(caption, drawn, &legend)
}

/// So many bars have room for their names.
const NAMED: usize = 6;

/// Stacked bars, with an objective.
pub(crate) fn bars(
    caption: &Caption,
    measure: Measure,
    names: &[&str],
    bars: &[Bar],
    objective: Option<&Objective>,
) -> Markup {
    let sums = bars.iter().map(|bar| bar.parts.iter().sum::<f64>());
    let top = sums.chain(objective.map(|line| line.value)).fold(0.0, f64::max);
    let unit = Unit::of(measure, top);
    let step = bars.len().div_ceil(NAMED).max(1);
    let drawn = draw(SIZE, |area| {
        let end = bars.iter().map(|_| 1.0).sum::<f64>();
        let mut chart = builder(area).build_cartesian_2d(0.0..end, unit.range(top))?;
        let value = |value: &f64| unit.says(*value);
        chart
            .configure_mesh()
            .disable_x_mesh()
            .x_labels(0)
            .light_line_style(GRID.mix(0.0))
            .bold_line_style(GRID)
            .axis_style(INK)
            .y_labels(5)
            .y_label_formatter(&value)
            .label_style(text())
            .draw()?;
        let mut left = 0.0;
        for (at, bar) in bars.iter().enumerate() {
            let mut base = 0.0;
            for (part, color) in bar.parts.iter().zip(SERIES.iter().cycle()) {
                let top = base + part / unit.worth;
                if *part > 0.0 {
                    let corners = [(left + 0.2, base), (left + 0.8, top)];
                    chart.draw_series([Rectangle::new(corners, color.filled())])?;
                }
                base = top;
            }
            if bar.is_failed {
                let (x, y) = chart.backend_coord(&(left + 0.5, base));
                area.draw(&Cross::new((x, y - 8), 4, FAILED.stroke_width(3)))?;
            }
            // Of the bars' middles plotters knows nothing: it has ticks for numbers. The last one has its name in any case.
            if (bars.len() - 1 - at).is_multiple_of(step) {
                let (x, y) = chart.backend_coord(&(left + 0.5, 0.0));
                area.draw_text(&bar.name, &text().pos(Pos::new(HPos::Center, VPos::Top)), (x, y + 6))?;
            }
            left += 1.0;
        }
        draw_objective(&mut chart, end, unit, objective)
    });
    let failed = bars.iter().any(|bar| bar.is_failed);
    let legend = html! {
        (legend(names.iter().copied(), objective, "area"))
        @if failed { li { span.mark.failed aria-hidden="true" { "✖" } " failed" } }
    };
    figure(caption, drawn, &legend)
}

/// Values in seconds by size, the line through them, and an objective.
pub(crate) fn by_size(caption: &Caption, measured: &BySize, objective: Option<&Objective>) -> Markup {
    let all = || measured.points.iter().chain(&measured.fit).chain(&measured.goes_on_to).copied();
    let top = all().map(|(_, value)| value).chain(objective.map(|line| line.value)).fold(0.0, f64::max);
    let (least, most) = (
        all().map(|(size, _)| size).fold(f64::INFINITY, f64::min),
        all().map(|(size, _)| size).fold(0.0, f64::max),
    );
    let (unit, size_unit) = (Unit::of(Measure::Seconds, top), Unit::of(Measure::Bytes, most));
    let place = |(size, value): (f64, f64)| (size / size_unit.worth, value / unit.worth);
    let margin = ((most - least) * 0.06).max(size_unit.worth * 1e-6);
    let range = ((least - margin).max(0.0) / size_unit.worth)..((most + margin) / size_unit.worth);
    let drawn = draw(SIZE, |area| {
        let (first, end) = (range.start, range.end);
        let mut chart = builder(area).build_cartesian_2d(range, unit.range(top))?;
        let (size, value) = (|size: &f64| size_unit.says(*size), |value: &f64| unit.says(*value));
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(GRID.mix(0.0))
            .bold_line_style(GRID)
            .axis_style(INK)
            .x_labels(6)
            .x_label_formatter(&size)
            .y_labels(5)
            .y_label_formatter(&value)
            .label_style(text())
            .draw()?;
        chart.draw_series([PathElement::new(measured.fit.map(place), SERIES[0].stroke_width(2))])?;
        if let Some(to) = measured.goes_on_to {
            let line = [measured.fit[1], to].map(place);
            chart.draw_series([PathElement::new(line, SERIES[1].stroke_width(2))])?;
        }
        let points = measured.points.iter().map(|point| Circle::new(place(*point), 4, SERIES[0].filled()));
        chart.draw_series(points)?;
        if let Some(objective) = objective {
            let ends = [first, end].map(|at| (at, objective.value / unit.worth));
            chart.draw_series([PathElement::new(ends, OBJECTIVE.stroke_width(2))])?;
        }
        Ok(())
    });
    let legend = html! {
        li { span.mark aria-hidden="true" { "●" } " a drill that passed" }
        li { span.key.line.s0 aria-hidden="true" {} " the line through them" }
        @if measured.goes_on_to.is_some() { li { span.key.line.s1 aria-hidden="true" {} " if it goes on growing" } }
        @if let Some(objective) = objective { (objective_key(objective)) }
    };
    figure(caption, drawn, &legend)
}

/// A small line without axes, for a row of a table, which says in words what it shows.
pub(crate) fn spark(points: &Points, days: Days, objective: Option<f64>) -> Markup {
    let top = points.iter().filter_map(|(_, value)| *value).chain(objective).fold(0.0, f64::max);
    let unit = Unit::of(Measure::Percent, top);
    let drawn = draw(SPARK, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(2)
            .build_cartesian_2d(0.0..f64::from(days.count), unit.range(top))?;
        draw_line(&mut chart, points, unit, SERIES[0].stroke_width(2))?;
        let objective = objective.map(|value| Objective { name: String::new(), value });
        draw_objective(&mut chart, f64::from(days.count), unit, objective.as_ref())
    });
    let (width, height) = SPARK;
    html! {
        @if let Ok(drawn) = drawn {
            svg.spark viewBox=(format!("0 0 {width} {height}")) aria-hidden="true" { (drawn) }
        }
    }
}

/// What is inside an SVG of that size.
fn draw(size: (u32, u32), fill: impl FnOnce(&Area<'_>) -> Drawn) -> Drawn<PreEscaped<String>> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        fill(&area)?;
        area.present()?;
    }
    // The page makes the element itself, with the words that belong to it.
    let (_, inner) = svg.split_once('>').unwrap_or_default();
    let inner = inner.trim_end().strip_suffix("</svg>").unwrap_or_default();
    Ok(PreEscaped(compact(inner)))
}

/// Without what says nothing: line breaks, full opacity, and a font that the page has.
fn compact(svg: &str) -> String {
    svg.replace('\n', "").replace(" opacity=\"1\"", "").replace(" font-family=\"sans-serif\"", "")
}

fn builder<'a, 's>(area: &'a Area<'s>) -> ChartBuilder<'a, 'a, SVGBackend<'s>> {
    let mut builder = ChartBuilder::on(area);
    builder.margin(8).margin_right(30).x_label_area_size(24).y_label_area_size(56);
    builder
}

fn over_days<'a, 's>(area: &'a Area<'s>, days: Days, unit: Unit, top: f64) -> Drawn<Chart<'a, 's>> {
    let mut chart = builder(area).build_cartesian_2d(0.0..f64::from(days.count), unit.range(top))?;
    #[expect(clippy::cast_possible_truncation, reason = "a number of days, within the chart")]
    let day = |at: &f64| {
        let date = days.first.checked_add((at.round() as i64).days());
        date.map_or_else(|_| String::new(), words::short_day)
    };
    let value = |value: &f64| unit.says(*value);
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(GRID.mix(0.0))
        .bold_line_style(GRID)
        .axis_style(INK)
        .x_labels(7)
        .x_label_formatter(&day)
        .y_labels(5)
        .y_label_formatter(&value)
        .label_style(text())
        .draw()?;
    Ok(chart)
}

fn text() -> TextStyle<'static> {
    ("sans-serif", 12).into_font().color(&INK)
}

/// A line for each stretch without a gap; a single value is a dot.
fn draw_line(
    chart: &mut Chart<'_, '_>,
    points: &[(f64, Option<f64>)],
    unit: Unit,
    style: ShapeStyle,
) -> Drawn {
    for stretch in points.split(|(_, value)| value.is_none()) {
        let stretch: Vec<(f64, f64)> =
            stretch.iter().filter_map(|(at, value)| Some((*at, (*value)? / unit.worth))).collect();
        match stretch.as_slice() {
            [] => {}
            [one] => _ = chart.draw_series([Circle::new(*one, 2, style.filled())])?,
            _ => _ = chart.draw_series([PathElement::new(stretch, style)])?,
        }
    }
    Ok(())
}

fn draw_objective(chart: &mut Chart<'_, '_>, end: f64, unit: Unit, objective: Option<&Objective>) -> Drawn {
    let Some(Objective { value, .. }) = objective else { return Ok(()) };
    let ends = [0.0, end].map(|at| (at, value / unit.worth));
    chart.draw_series([PathElement::new(ends, OBJECTIVE.stroke_width(2))])?;
    Ok(())
}

/// In what an axis counts.
#[derive(Clone, Copy)]
struct Unit {
    worth: f64,
    name: &'static str,
    is_before: bool,
}

impl Unit {
    /// The largest of which the highest value has two, so that ticks stand at round numbers of it.
    fn of(measure: Measure, top: f64) -> Self {
        let units: &[(f64, &'static str)] = match measure {
            Measure::Seconds => &[(86_400.0, " d"), (3_600.0, " h"), (60.0, " min"), (1.0, " s")],
            Measure::Bytes => &[
                (1_099_511_627_776.0, " TiB"),
                (1_073_741_824.0, " GiB"),
                (1_048_576.0, " MiB"),
                (1_024.0, " KiB"),
                (1.0, " B"),
            ],
            Measure::Percent => &[(1.0, " %")],
            Measure::Dollars => return Self { worth: 1.0, name: "$", is_before: true },
        };
        let fits = units.iter().find(|(worth, _)| top >= 2.0 * worth).or(units.last());
        let (worth, name) = fits.copied().unwrap_or((1.0, ""));
        Self { worth, name, is_before: false }
    }

    /// From nothing to a little above the highest value.
    fn range(self, top: f64) -> std::ops::Range<f64> {
        let top = top / self.worth * 1.08;
        0.0..if top > 0.0 { top } else { 1.0 }
    }

    fn says(self, value: f64) -> String {
        // Ticks stand at 1, 2 or 5 times a power of ten: six digits show them, without the noise behind.
        let rounded = (value * 1e6).round() / 1e6;
        if self.is_before { format!("{}{rounded}", self.name) } else { format!("{rounded}{}", self.name) }
    }
}

fn legend<'n>(
    names: impl Iterator<Item = &'n str> + Clone,
    objective: Option<&Objective>,
    shape: &str,
) -> Markup {
    let is_alone = names.clone().count() < 2;
    html! {
        @for (at, name) in names.enumerate() {
            @if !is_alone || objective.is_some() {
                li { span class=(format!("key {shape} s{}", at % SERIES.len())) aria-hidden="true" {} " " bdi { (name) } }
            }
        }
        @if let Some(objective) = objective { (objective_key(objective)) }
    }
}

fn objective_key(objective: &Objective) -> Markup {
    html! { li { span.key.line.objective aria-hidden="true" {} " " bdi { (objective.name) } } }
}

/// A chart with its words. One that could not be drawn is its words alone.
fn figure(caption: &Caption, drawn: Drawn<PreEscaped<String>>, legend: &Markup) -> Markup {
    let Caption { id, title, says } = caption;
    let (width, height) = SIZE;
    let (named, described) = (format!("{id}-title"), format!("{id}-says"));
    html! {
        figure.chart {
            figcaption { (title) }
            @if let Ok(drawn) = drawn {
                div.scroll.wide role="group" aria-label=(title) tabindex="0" {
                    svg viewBox=(format!("0 0 {width} {height}")) role="img" aria-labelledby=(named) aria-describedby=(described) {
                        title id=(named) { (title) }
                        desc id=(described) { (says) }
                        (drawn)
                    }
                }
            }
            @if !legend.0.is_empty() { ul.legend { (legend) } }
            p.says { (says) }
        }
    }
}
