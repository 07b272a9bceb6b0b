/** Results as files: COCO and CSV of all images, in the columns and keys of Cairn's own files. */

const CSV = ["image", "frame", "seconds", "person", "id", "score", "joint", "x", "y", "confidence"];

/** Returns a COCO file with images, annotations and the category, of Cairn's JSON of several images. */
export function toCoco(documents) {
  const images = [];
  const annotations = [];
  const skeleton = documents[0].skeleton;
  const index = new Map(skeleton.joints.map((joint, i) => [joint, i + 1]));
  for (const [i, document] of documents.entries()) {
    const frame = document.frame === undefined ? {} : { frame: document.frame, seconds: document.seconds };
    images.push({ id: i + 1, file_name: document.image, width: document.width, height: document.height, ...frame });
    for (const person of document.people) {
      const found = skeleton.joints.map((joint) => person.keypoints[joint] ?? null);
      annotations.push({
        id: annotations.length + 1,
        image_id: i + 1,
        category_id: 1,
        keypoints: found.flatMap((keypoint) => (keypoint ? [keypoint[0], keypoint[1], 2] : [0, 0, 0])),
        num_keypoints: found.filter(Boolean).length,
        bbox: person.box ?? [0, 0, 0, 0],
        area: person.box ? person.box[2] * person.box[3] : 0,
        iscrowd: 0,
        score: person.score,
        ...(person.id === undefined || person.id === null ? {} : { track_id: person.id }),
      });
    }
  }
  const limbs = (skeleton.limbs ?? []).map(([a, b]) => [index.get(a), index.get(b)]);
  const categories = [{ id: 1, name: "person", keypoints: skeleton.joints, skeleton: limbs }];
  return { images, annotations, categories };
}

/** Returns a table with a row for each keypoint, of Cairn's JSON of several images or frames. */
export function toCsv(documents) {
  const rows = [CSV];
  for (const document of documents) {
    document.people.forEach((person, number) => {
      for (const joint of document.skeleton.joints) {
        const [x, y, confidence] = person.keypoints[joint] ?? ["", "", 0];
        const frame = [document.frame ?? "", document.seconds ?? ""];
        rows.push([document.image, ...frame, number, person.id ?? "", person.score, joint, x, y, confidence]);
      }
    });
  }
  return `${rows.map((row) => row.map(cell).join(",")).join("\r\n")}\r\n`;
}

function cell(value) {
  const text = String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
