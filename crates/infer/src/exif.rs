//! `--ignore-exif`: the option of every command that decodes pictures.

use infer::Exif;

#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Photos {
    /// Take photos as their pixels are stored. Without it they are turned as their EXIF orientation says: as viewers show them, and as
    /// training takes them
    #[arg(long)]
    ignore_exif: bool,
}

impl Photos {
    /// What the option says.
    pub(crate) fn exif(self) -> Exif {
        if self.ignore_exif { Exif::Ignored } else { Exif::Applied }
    }
}
