import { rgbOf, toJson } from "./pose.js";

const [$, sizes] = [(id) => document.getElementById(id), [192, 256, 320, 416, 512, 608, 736, 1024]];
const canvas = $("canvas");
const context = canvas.getContext("2d", { willReadFrequently: true });
const source = document.createElement("canvas"); // the image without its overlay
const pixels = source.getContext("2d", { willReadFrequently: true });
const video = document.createElement("video");
let [found, name, camera] = [[], "", null];

const description = await (await fetch("model.json")).json();
const { skeleton } = description;
document.title = $("title").textContent = description.name;
const license = description.license && `License of the model: ${description.license}`;
$("license").textContent = [license, ...description.sources].filter(Boolean).join(". ");
$("threshold").value = description.draw_threshold;
const own = description.inputs.size?.own;
$("size-label").hidden = !own;
for (const size of new Set([...sizes, own].filter(Boolean).sort((a, b) => a - b))) {
  $("size").add(new Option(`${size} px`, size, size === own, size === own));
}

const worker = new Worker("worker.js", { type: "module" });
let answer = null;
worker.onmessage = ({ data }) => {
  if (data.ready) say("Choose an image, or start the camera.");
  else if (answer) answer(data);
  else if (data.error) say(data.error);
};

function say(text) {
  $("status").textContent = text;
}

/** Detects in what `source` shows, and draws the result. */
async function detect() {
  const image = rgbOf(pixels.getImageData(0, 0, source.width, source.height));
  const result = await new Promise((resolve) => {
    answer = resolve;
    worker.postMessage({ image, size: own ? Number($("size").value) : null }, [image.pixels.buffer]);
  });
  answer = null;
  if (result.error) return say(result.error);
  found = result.found;
  draw();
  const people = found.length === 1 ? "1 instance" : `${found.length} instances`;
  say(`${name}: ${people} in ${Math.round(result.milliseconds)} ms`);
  window.cairn = toJson(found, description, { image: name, width: source.width, height: source.height });
  $("download").disabled = false;
}

function draw() {
  [canvas.width, canvas.height] = [source.width, source.height];
  context.drawImage(source, 0, 0);
  const minimum = Number($("threshold").value);
  $("threshold-value").textContent = minimum.toFixed(2);
  const radius = Math.max(2, Math.hypot(canvas.width, canvas.height) / 250);
  context.lineWidth = radius;
  context.lineCap = "round";
  for (const { keypoints } of found) {
    const there = keypoints.map((point) => (point && point[2] >= minimum ? point : null));
    skeleton.limbs.forEach(([a, b], limb) => {
      if (!there[a] || !there[b] || skeleton.hidden.includes(limb)) return;
      context.strokeStyle = skeleton.colors[b];
      context.beginPath();
      context.moveTo(there[a][0] + 0.5, there[a][1] + 0.5); // integers are pixel centers
      context.lineTo(there[b][0] + 0.5, there[b][1] + 0.5);
      context.stroke();
    });
    there.forEach((point, k) => {
      if (!point) return;
      context.fillStyle = skeleton.colors[k];
      context.beginPath();
      context.arc(point[0] + 0.5, point[1] + 0.5, radius, 0, 2 * Math.PI);
      context.fill();
    });
  }
}

function show(frame, width, height) {
  [source.width, source.height] = [width, height];
  pixels.drawImage(frame, 0, 0);
}

async function open(file) {
  if (!file) return;
  stop();
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" });
  } catch {
    return say(`${file.name} is not an image that this browser can read`);
  }
  [name, found] = [file.name, []];
  show(bitmap, bitmap.width, bitmap.height);
  draw();
  say("Detecting…");
  await detect();
}

async function start() {
  try {
    camera = await navigator.mediaDevices.getUserMedia({ video: true });
  } catch (error) {
    return say(`The camera cannot be used: ${error.message}`);
  }
  $("camera").textContent = "Stop camera";
  video.srcObject = camera;
  await video.play();
  name = "camera";
  while (camera) {
    show(video, video.videoWidth, video.videoHeight);
    await detect();
  }
}

function stop() {
  camera?.getTracks().forEach((track) => track.stop());
  camera = null;
  $("camera").textContent = "Start camera";
}

$("file").onchange = ({ target }) => {
  open(target.files[0]);
  target.value = ""; // so that the same file can be chosen again
};
$("camera").onclick = () => (camera ? stop() : start());
$("threshold").oninput = draw;
$("size").onchange = () => { if (!camera && name) detect(); };
$("download").onclick = () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(window.cairn, null, 1)], { type: "application/json" }));
  link.download = `${name.replace(/\.[^.]*$/, "")}.cairn.json`;
  link.click();
  URL.revokeObjectURL(link.href);
};
document.ondragover = (event) => event.preventDefault();
document.ondrop = (event) => {
  event.preventDefault();
  open(event.dataTransfer.files[0]);
};
