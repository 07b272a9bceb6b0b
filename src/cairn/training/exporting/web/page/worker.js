// Runs the model beside the page, so that the page stays responsive.
import * as ort from "./runtime/ort.js";
import { Detector } from "./pose.js";

ort.env.wasm.wasmPaths = { wasm: new URL("runtime/ort-wasm-simd-threaded.wasm", import.meta.url).href };
if (!self.crossOriginIsolated) ort.env.wasm.numThreads = 1; // several threads need the headers COOP and COEP

async function load() {
  const description = await (await fetch("model.json")).json();
  const session = await ort.InferenceSession.create(new URL("model.onnx", import.meta.url).href);
  return new Detector(ort, session, description);
}

const detector = load();
detector.then(() => postMessage({ ready: true }), (error) => postMessage({ error: String(error.message ?? error) }));

self.onmessage = async ({ data: { image, size } }) => {
  try {
    const start = performance.now();
    const found = await (await detector).detect(image, size);
    postMessage({ found, milliseconds: performance.now() - start });
  } catch (error) {
    postMessage({ error: String(error.message ?? error) });
  }
};
