"""CVAT's XML, "CVAT for images 1.1" and "CVAT for video 1.1" (https://docs.cvat.ai/docs/dataset_management/formats).

    <annotations>
      <meta><task><labels>
        <label><name>person</name><type>skeleton</type><svg>...limbs...</svg></label>
        <label><name>nose</name><type>points</type><parent>person</parent></label>
      </labels></task></meta>
      <image id="0" name="a.jpg" width="640" height="480">
        <skeleton label="person" group_id="1">
          <points label="nose" outside="0" occluded="0" points="10.50,20.00"/>
        </skeleton>
        <box label="person" group_id="1" xtl="2" ytl="4" xbr="90" ybr="70"/>
      </image>
    </annotations>

A video has `<track id="0" label="person">` with a skeleton for each frame instead. Pixels count from 0; a keypoint that
is `outside` is not labeled.
"""

from __future__ import annotations

from cairn.datasets.formats.cvat.reading import read_cvat, sniff
from cairn.datasets.formats.cvat.writing import write_cvat
from cairn.datasets.formats.format import Format
from cairn.datasets.labels import SPLITS

__all__ = ["FORMAT", "read_cvat", "write_cvat"]

FORMAT = Format("cvat", "CVAT's .xml", (".xml",), sniff, read_cvat, write_cvat, SPLITS, selects_category=True)
