//! The plot of a demo: its measure by round above, bytes by round below.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::{DemoResult, Measure, ReportError};

/// Pixels; a page's column is about so wide.
const SIZE: (u32, u32) = (960, 680);
/// Of it the upper plot.
const UPPER_HEIGHT: u32 = 460;
// Colours that differ in lightness too, after Okabe and Ito.
const NETWORK: RGBColor = RGBColor(0, 114, 178);
const POOLED: RGBColor = RGBColor(0, 130, 90);
const ALONE: RGBColor = RGBColor(196, 84, 0);
const INK: RGBColor = RGBColor(60, 60, 60);
const GRID: RGBColor = RGBColor(228, 228, 228);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), ReportError>;

fn failed(error: impl std::fmt::Display) -> ReportError {
    ReportError(error.to_string())
}

pub fn draw(result: &DemoResult) -> Result<String, ReportError> {
    let mut svg = String::new();
    {
        let all = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        all.fill(&WHITE).map_err(failed)?;
        let (upper, lower) = all.split_vertically(UPPER_HEIGHT);
        quality(result, &upper)?;
        bytes(result, &lower)?;
        all.present().map_err(failed)?;
    }
    Ok(svg)
}

/// First and last round shown; never an empty range.
fn rounds(result: &DemoResult) -> std::ops::Range<f64> {
    let first = result.rows.first().map_or(0, |row| row.round);
    let last = result.rows.last().map_or(0, |row| row.round);
    f64::from(first)..f64::from(last.max(first.saturating_add(1)))
}

/// The points of one curve; values that are no numbers are left out.
fn curve<'a>(result: &'a DemoResult, value: impl Fn(&super::DemoRow) -> f64 + 'a) -> impl Iterator<Item = (f64, f64)> + 'a {
    result.rows.iter().map(move |row| (f64::from(row.round), value(row))).filter(|point| point.1.is_finite())
}

/// What the vertical axis spans: of accuracy up to 1, of bits from what is reached to what it began with.
fn span(result: &DemoResult) -> std::ops::Range<f64> {
    let of = &result.summary;
    let lines = [of.quality.pooled, of.quality.alone_mean].into_iter().flatten();
    let ends = |of: fn(&super::DemoRow) -> f64| curve(result, of).map(|point| point.1).collect::<Vec<_>>();
    let values: Vec<f64> =
        ends(|row| row.worst).into_iter().chain(ends(|row| row.best)).chain(lines).filter(|value| value.is_finite()).collect();
    let lowest = values.iter().copied().fold(f64::INFINITY, f64::min);
    match of.measure {
        Measure::Accuracy => ((lowest.min(0.9) * 10.0).floor() / 10.0).clamp(0.0, 0.9)..1.0,
        Measure::Bits => {
            let highest = values.iter().copied().fold(0.0, f64::max).min(100.0);
            let floor = lowest.min(highest).floor().max(0.0);
            floor..highest.ceil().max(floor + 1.0)
        }
    }
}

fn quality(result: &DemoResult, area: &Area<'_>) -> Drawn {
    let of = &result.summary;
    // A path can be longer than the plot is wide.
    let data = if of.data.len() > 24 { "data" } else { &of.data };
    let title = format!("{} nodes train one model together, {data} split {}, seed {}", of.nodes, of.partition, of.seed);
    let rounds = rounds(result);
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 20, &INK))
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(68)
        .build_cartesian_2d(rounds.clone(), span(result))
        .map_err(failed)?;
    chart
        .configure_mesh()
        .x_desc("round")
        .y_desc(format!("{} on unseen data", of.measure.name()))
        .x_label_formatter(&|round| format!("{round:.0}"))
        .y_label_formatter(&|share| format!("{share:.2}"))
        .label_style(("sans-serif", 14, &INK))
        .axis_desc_style(("sans-serif", 15, &INK))
        .axis_style(INK)
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .draw()
        .map_err(failed)?;

    let upper: Vec<_> = curve(result, |row| row.best).collect();
    let band: Vec<_> = upper.into_iter().chain(curve(result, |row| row.worst).collect::<Vec<_>>().into_iter().rev()).collect();
    if band.len() > 2 {
        let series = chart.draw_series([Polygon::new(band, NETWORK.mix(0.18))]).map_err(failed)?;
        series
            .label("network, worst to best node")
            .legend(|(x, y)| Rectangle::new([(x, y - 5), (x + 24, y + 5)], NETWORK.mix(0.18).filled()));
    }
    let level = |value: f64| [(rounds.start, value), (rounds.end, value)];
    if let Some(value) = of.quality.pooled {
        let pooled = chart.draw_series(LineSeries::new(level(value), POOLED.stroke_width(2))).map_err(failed)?;
        pooled
            .label(format!("pooled: one model on all the data, {value:.3}"))
            .legend(|(x, y)| PathElement::new([(x, y), (x + 24, y)], POOLED.stroke_width(2)));
    }
    if let Some(value) = of.quality.alone_mean {
        let dashed = DashedLineSeries::new(level(value), 8, 5, ALONE.stroke_width(2));
        let alone = chart.draw_series(dashed).map_err(failed)?;
        alone.label(format!("alone: the same nodes without a network, {value:.3}")).legend(|(x, y)| {
            EmptyElement::at((x, y))
                + PathElement::new([(0, 0), (9, 0)], ALONE.stroke_width(2))
                + PathElement::new([(15, 0), (24, 0)], ALONE.stroke_width(2))
        });
    }
    let mean = chart.draw_series(LineSeries::new(curve(result, |row| row.mean), NETWORK.stroke_width(3))).map_err(failed)?;
    mean.label(format!("network, mean of the nodes, {:.3} at the end", of.quality.mean))
        .legend(|(x, y)| PathElement::new([(x, y), (x + 24, y)], NETWORK.stroke_width(3)));
    chart
        .configure_series_labels()
        .position(if of.measure == Measure::Accuracy { SeriesLabelPosition::LowerRight } else { SeriesLabelPosition::UpperRight })
        .margin(14)
        .legend_area_size(34)
        .background_style(WHITE.mix(0.85))
        .border_style(GRID)
        .label_font(("sans-serif", 14, &INK))
        .draw()
        .map_err(failed)
}

fn bytes(result: &DemoResult, area: &Area<'_>) -> Drawn {
    let dense = result.summary.bytes.dense_f32_model as f64 / 1_000.0;
    let sent = |row: &super::DemoRow| row.sent_bytes as f64 / 1_000.0;
    let top = curve(result, sent).map(|point| point.1).fold(dense, f64::max).max(1.0) * 1.7;
    let rounds = rounds(result);
    let mut chart = ChartBuilder::on(area)
        .margin(16)
        .margin_top(4)
        .x_label_area_size(44)
        .y_label_area_size(68)
        .build_cartesian_2d(rounds.clone(), 0.0..top)
        .map_err(failed)?;
    chart
        .configure_mesh()
        .x_desc("round")
        .y_desc("kB a node and round")
        .y_labels(5)
        .x_label_formatter(&|round| format!("{round:.0}"))
        .y_label_formatter(&|kilobytes| format!("{kilobytes:.0}"))
        .label_style(("sans-serif", 14, &INK))
        .axis_desc_style(("sans-serif", 15, &INK))
        .axis_style(INK)
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .draw()
        .map_err(failed)?;
    let line =
        chart.draw_series(LineSeries::new([(rounds.start, dense), (rounds.end, dense)], INK.stroke_width(1))).map_err(failed)?;
    line.label("the model once as plain f32").legend(|(x, y)| PathElement::new([(x, y), (x + 24, y)], INK.stroke_width(1)));
    let line = chart.draw_series(LineSeries::new(curve(result, sent), NETWORK.stroke_width(2))).map_err(failed)?;
    line.label("bytes sent, everything counted")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 24, y)], NETWORK.stroke_width(2)));
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .margin(10)
        .legend_area_size(34)
        .background_style(WHITE.mix(0.85))
        .border_style(GRID)
        .label_font(("sans-serif", 14, &INK))
        .draw()
        .map_err(failed)
}
