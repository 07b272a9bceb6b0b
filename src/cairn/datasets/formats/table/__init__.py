"""Labels as a table, in CSV or Parquet: one row for each joint of each instance, for spreadsheets and data frames.

    image,width,height,video,subject,frame,object,track,crowd,box_x,box_y,box_width,box_height,area,head_size,joint,x,y,v

`object` numbers the instances of an image from 0; v is COCO's visibility. Missing values are empty; an image without
instances has one row with nothing after `frame`. A Parquet file contains the skeleton; that of a CSV is in
NAME.skeleton.toml beside it.
"""

from __future__ import annotations

from cairn.datasets.formats.table import csv_file, parquet_file
from cairn.datasets.formats.table.csv_file import read_csv, write_csv
from cairn.datasets.formats.table.parquet_file import read_parquet, write_parquet

__all__ = ["CSV", "PARQUET", "read_csv", "read_parquet", "write_csv", "write_parquet"]

CSV = csv_file.FORMAT
PARQUET = parquet_file.FORMAT
