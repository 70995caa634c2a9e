//! What a run leaves behind for people: `report.html`, one file that asks nothing of the network, and `per_class.csv`; the page that
//! compares runs, and those of a learning-rate range test and of a search for options.
//!
//! Takes plain data ([`Page`]) and gives text. Knows no tensors, models, data sets or run folders; what it shows is gathered by the
//! trainer. The charts are SVG of our own: their colours are the page's, which follow the reader's dark or light setting, and each has a
//! title and a description for screen readers. Plotters writes fixed colours and neither of the two. `resvg` makes PNG of the same SVG.
//!
//! Every text that comes from outside (names of classes, files, columns, the configuration) goes through `html` or `cells` first.

mod axis;
mod calibration;
pub mod cells;
mod chart;
mod classes;
mod comparison;
mod coverage;
mod curves;
mod features;
mod files;
mod grid;
mod html;
mod mosaic;
mod overlay;
mod page;
mod pick;
mod picture;
mod range_test;
mod ranking;
mod samples;
mod scatter;
mod sheet;
mod tuning;
mod values;

pub use axis::{Axis, Scale};
pub use calibration::Calibration;
pub use comparison::{Beside, ComparedRun, Comparison, Flipped, Interval};
pub use coverage::{Coverage, CoverageRow};
pub use features::{CHANNELS, FILTERS, Features, Filters, Maps};
pub use grid::grid;
pub use html::{escaped, grouped, isolated};
pub use overlay::{Explained, Overlay};
pub use page::{Answer, ClassRow, Curve, HeldOut, Layer, Outcome, Page, Share, Shown, TargetRow};
pub use pick::{confident_mistakes, least_certain};
pub use picture::{Picture, base64};
pub use range_test::RangeTest;
pub use sheet::Sheet;
pub use tuning::{TunedRange, Tuning};
