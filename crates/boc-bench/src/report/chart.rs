//! A bar chart of the best figures: a panel for each number of workers, a group of bars for each
//! shape.
//!
//! The scale is logarithmic, since the figures differ by more than an order of magnitude.

use std::{error::Error, fs, path::Path};

use plotters::{
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use crate::{measure::Row, peers::Peer, reference};

const BOC: RGBColor = RGBColor(0xc4, 0x4e, 0x2a);
const RAYON: RGBColor = RGBColor(0x3b, 0x75, 0xaf);
const TOKIO: RGBColor = RGBColor(0x51, 0x9e, 0x6e);
const PLAIN: RGBColor = RGBColor(0xb5, 0xb5, 0xb5);
const REFERENCE: RGBColor = RGBColor(0xe0, 0xa4, 0x58);

/// Nanoseconds at the left edge.
const LEAST: f64 = 1.0;

/// In pixels.
const PANEL_WIDTH: u32 = 640;
const BAR_HEIGHT: u32 = 12;
const HEAD_HEIGHT: u32 = 40;
const AROUND_BARS: u32 = 90;

/// The backend writes the size of a font as 0.8 times what it is told.
const FONT: (&str, u32) = ("sans-serif", 16);
const SMALL_FONT: (&str, u32) = ("sans-serif", 13);
const TITLE_FONT: (&str, u32) = ("sans-serif", 20);

/// One bar of each group.
type Series = (&'static str, RGBColor, fn(&Row) -> Option<f64>);

const SERIES: [Series; 5] = [
    ("boc", BOC, |row| best(row, Peer::Boc)),
    (reference::NAME, REFERENCE, |row| Some(row.reference?.best)),
    ("rayon", RAYON, |row| best(row, Peer::Rayon)),
    ("tokio", TOKIO, |row| best(row, Peer::Tokio)),
    ("plain", PLAIN, |row| best(row, Peer::Plain)),
];

fn best(row: &Row, peer: Peer) -> Option<f64> {
    row.figure(peer).map(|figure| figure.best)
}

/// Draws it into a file, whose folder is made if need be.
pub(crate) fn draw(path: &Path, rows: &[Row]) -> Result<(), Box<dyn Error>> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut panels: Vec<(usize, Vec<&Row>)> = Vec::new();
    for row in rows {
        match panels.iter_mut().find(|(workers, _)| *workers == row.workers) {
            Some((_, panel)) => panel.push(row),
            None => panels.push((row.workers, vec![row])),
        }
    }
    let groups = panels.iter().map(|(_, rows)| rows.len()).max().unwrap_or(0);
    let bars = (groups * (SERIES.len() + 1)) as u32;
    let size = (PANEL_WIDTH * panels.len() as u32, HEAD_HEIGHT + AROUND_BARS + bars * BAR_HEIGHT);
    let root = SVGBackend::new(path, size).into_drawing_area();
    root.fill(&WHITE)?;
    let (head, body) = root.split_vertically(HEAD_HEIGHT);
    legend(&head)?;
    // One scale for all panels, so that they can be compared.
    let most = rows.iter().flat_map(|row| SERIES.map(|(.., value)| value(row))).flatten();
    let most = most.fold(10.0 * LEAST, f64::max) * 1.5;
    for (area, (workers, rows)) in body.split_evenly((1, panels.len())).iter().zip(&panels) {
        panel(area, *workers, rows, most)?;
    }
    root.present()?;
    Ok(())
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn panel(area: &Area, workers: usize, rows: &[&Row], most: f64) -> Result<(), Box<dyn Error>> {
    let title =
        format!("ns per behaviour, {workers} worker{}", if workers == 1 { "" } else { "s" });
    let mut chart = ChartBuilder::on(area)
        .caption(title, TITLE_FONT)
        .margin(10)
        .set_label_area_size(LabelAreaPosition::Left, 60)
        .set_label_area_size(LabelAreaPosition::Bottom, 30)
        .build_cartesian_2d((LEAST..most).log_scale(), 0.0..rows.len() as f64)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .y_labels(0)
        .x_label_formatter(&|ns| format!("{ns:.0}"))
        .label_style(FONT)
        .draw()?;
    let name = TextStyle::from(FONT).pos(Pos::new(HPos::Right, VPos::Center));
    let value = TextStyle::from(SMALL_FONT).pos(Pos::new(HPos::Left, VPos::Center));
    // A group is 1 high, half a bar of which is free above and below.
    let height = 1.0 / (SERIES.len() + 1) as f64;
    for (index, row) in rows.iter().enumerate() {
        let top = (rows.len() - index) as f64;
        let label =
            EmptyElement::at((LEAST, top - 0.5)) + Text::new(row.shape.name(), (-8, 0), &name);
        chart.draw_series([label])?;
        for (place, (_, colour, best)) in SERIES.iter().enumerate() {
            let Some(ns) = best(row) else { continue };
            let upper = top - (place as f64 + 0.5) * height;
            let corners = [(LEAST, upper), (ns.max(LEAST), upper - height)];
            chart.draw_series([Rectangle::new(corners, colour.filled())])?;
            let label = EmptyElement::at((ns.max(LEAST), upper - height / 2.0))
                + Text::new(format!("{ns:.1}"), (4, 0), &value);
            chart.draw_series([label])?;
        }
    }
    Ok(())
}

fn legend(area: &Area) -> Result<(), Box<dyn Error>> {
    const BOX: i32 = 12;
    const ENTRY_WIDTH: i32 = 90;
    let style = TextStyle::from(FONT).pos(Pos::new(HPos::Left, VPos::Center));
    for (place, (name, colour, _)) in SERIES.iter().enumerate() {
        let (left, top) = (70 + ENTRY_WIDTH * place as i32, 18);
        area.draw(&Rectangle::new([(left, top), (left + BOX, top + BOX)], colour.filled()))?;
        area.draw(&Text::new(*name, (left + BOX + 5, top + BOX / 2), &style))?;
    }
    Ok(())
}
