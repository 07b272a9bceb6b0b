/** The webcam: frames go to the server over a WebSocket, and come back with poses; one frame is under way at a time. */

import { query } from "../core/api.js";
import { h } from "../core/dom.js";
import { readResult } from "../stage/poses.js";

const SIDE = 640; // longest side of a frame in pixels
const QUALITY = 0.8; // of JPEG

/** Starts the webcam. `onframe` gets a canvas and its result, `onerror` an error; returns { canvas, stop }. */
export async function startWebcam({ model, refine }, colors, { onframe, onerror }) {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new Error("Browsers open webcams on localhost and https pages only: use one of them");
  }
  const media = await openCamera();
  const video = h("video", { muted: true, playsInline: true, autoplay: true });
  video.srcObject = media;
  await video.play();
  const scale = Math.min(1, SIDE / Math.max(video.videoWidth, video.videoHeight));
  const size = { width: Math.round(scale * video.videoWidth), height: Math.round(scale * video.videoHeight) };
  const sent = Object.assign(document.createElement("canvas"), size);
  const shown = Object.assign(document.createElement("canvas"), size);
  const socket = new WebSocket(address({ model, refine }));
  let open = true;

  const stop = () => {
    open = false;
    socket.close();
    media.getTracks().forEach((track) => track.stop());
  };
  const send = () => {
    if (!open || socket.readyState !== WebSocket.OPEN) return;
    sent.getContext("2d").drawImage(video, 0, 0, size.width, size.height);
    sent.toBlob((frame) => open && socket.readyState === WebSocket.OPEN && socket.send(frame), "image/jpeg", QUALITY);
  };
  socket.addEventListener("open", send);
  socket.addEventListener("message", (event) => {
    const answer = JSON.parse(event.data);
    if (answer.people) {
      shown.getContext("2d").drawImage(sent, 0, 0); // the frame that the poses belong to
      onframe(shown, readResult(answer, colors));
    } else if (answer.detail && answer.status !== 429) {
      onerror(new Error(answer.detail));
      return stop();
    }
    requestAnimationFrame(send);
  });
  socket.addEventListener("close", (event) => {
    if (!open) return;
    stop();
    onerror(new Error(event.reason || "The server closed the stream"));
  });
  return { canvas: shown, stop };
}

async function openCamera() {
  try {
    return await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: SIDE } }, audio: false });
  } catch (error) {
    const why = { NotAllowedError: "the browser does not allow it", NotFoundError: "none was found" }[error.name];
    throw new Error(`The webcam cannot be opened: ${why ?? error.message}`);
  }
}

function address(values) {
  const url = new URL(query("v1/stream", { model: values.model, refine: values.refine || null, track: true }), location.href);
  url.protocol = url.protocol.replace("http", "ws");
  url.hash = "";
  return url;
}
