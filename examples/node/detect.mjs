// Detects in an image file with Node: node detect.mjs WEB IMAGE
//
// WEB is a folder that `cairn export MODEL WEB --format web` wrote. Prints JSON, as `cairn detect --write json` writes it.
import { readFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import sharp from "sharp";

const [folder, file] = process.argv.slice(2);
if (!file) fail("usage: node detect.mjs WEB IMAGE");
const place = (...names) => pathToFileURL(join(resolve(folder), ...names)).href;

try {
  const decoder = sharp(file).rotate().toColorspace("srgb").removeAlpha().raw(); // rotate() applies the EXIF orientation
  const { data, info } = await decoder.toBuffer({ resolveWithObject: true });
  const { width, height } = info;
  const pixels = new Uint8Array(data.buffer, data.byteOffset, data.length);

  const { Detector, toJson } = await import(place("pose.js"));
  const description = JSON.parse(await readFile(join(folder, "model.json"), "utf8"));
  const ort = await onnxruntime();
  const session = await ort.InferenceSession.create(await readFile(join(folder, "model.onnx")));
  const detector = new Detector(ort, session, description);
  const found = await detector.detect({ pixels, width, height });
  console.log(JSON.stringify(toJson(found, description, { image: basename(file), width, height })));
} catch (error) {
  fail(error.message);
}

/** onnxruntime-node where it is installed, which is faster; else the WebAssembly in the folder. */
async function onnxruntime() {
  try {
    return (await import("onnxruntime-node")).default;
  } catch (error) {
    if (error.code !== "ERR_MODULE_NOT_FOUND") throw error;
  }
  const ort = await import(place("runtime", "ort.js"));
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = await readFile(join(folder, "runtime", "ort-wasm-simd-threaded.wasm"));
  return ort;
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
