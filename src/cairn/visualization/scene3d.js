// Draws the 3D scenes of a page: points, lines and surfaces with WebGL 2. Nothing is loaded from elsewhere.
(() => {
  "use strict";

  const VERTEX = {
    points: `#version 300 es
      uniform mat4 view; uniform float size; in vec3 position; in vec3 color; out vec3 tint;
      void main() { gl_Position = view * vec4(position, 1.0); gl_PointSize = size; tint = color; }`,
    lines: `#version 300 es
      uniform mat4 view; uniform vec2 canvas; uniform float size;
      in vec2 corner; in vec3 start; in vec3 end; in vec3 color; out vec3 tint;
      void main() {
        vec4 a = view * vec4(start, 1.0), b = view * vec4(end, 1.0);
        vec2 along = normalize((b.xy / b.w - a.xy / a.w) * canvas + vec2(1e-6, 0.0));
        gl_Position = mix(a, b, corner.x);
        gl_Position.xy += vec2(-along.y, along.x) * corner.y * size / canvas * gl_Position.w;
        tint = color;
      }`,
    surface: `#version 300 es
      uniform mat4 view; in vec3 position; in vec3 color; out vec3 tint; out vec3 place;
      void main() { gl_Position = view * vec4(position, 1.0); tint = color; place = position; }`,
  };
  const FRAGMENT = {
    points: `#version 300 es
      precision mediump float; in vec3 tint; out vec4 pixel;
      void main() { if (length(gl_PointCoord - 0.5) > 0.5) discard; pixel = vec4(tint, 1.0); }`,
    lines: `#version 300 es
      precision mediump float; in vec3 tint; out vec4 pixel;
      void main() { pixel = vec4(tint, 1.0); }`,
    surface: `#version 300 es
      precision highp float; uniform vec3 light; in vec3 tint; in vec3 place; out vec4 pixel;
      void main() {
        vec3 normal = normalize(cross(dFdx(place), dFdy(place)));
        pixel = vec4(tint * (0.35 + 0.65 * abs(dot(normal, light))), 1.0);
      }`,
  };
  const CORNERS = new Float32Array([0, -1, 0, 1, 1, -1, 1, 1]);

  const bytes = (text) => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  const floats = (text) => new Float32Array(bytes(text).buffer);
  const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
  const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
  const sum = (a, b, factor) => a.map((value, i) => value + factor * b[i]);
  const unit = (a) => a.map((value) => value / Math.hypot(...a));

  function program(gl, kind) {
    const made = gl.createProgram();
    for (const [type, source] of [[gl.VERTEX_SHADER, VERTEX[kind]], [gl.FRAGMENT_SHADER, FRAGMENT[kind]]]) {
      const shader = gl.createShader(type);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
      gl.attachShader(made, shader);
    }
    gl.linkProgram(made);
    return made;
  }

  // The camera turns around a target: `side`, `up` and `back` are its axes in the world.
  class Orbit {
    constructor(scene) {
      this.scene = scene;
      this.reset();
    }
    reset() {
      const { center, radius, up } = this.scene;
      this.target = [...center];
      this.distance = 2.3 * radius;
      this.pole = up;
      const east = unit(Math.abs(up[0]) < 0.9 ? cross(up, [-1, 0, 0]) : cross(up, [0, -1, 0]));
      this.axes = [east, cross(up, east)];
      this.azimuth = 0.6;
      this.elevation = 0.35;
    }
    get frame() {
      const [a, b] = this.axes, turn = this.azimuth, lift = this.elevation;
      const level = sum(a.map((value) => value * Math.cos(turn)), b, Math.sin(turn));
      const back = sum(level.map((value) => value * Math.cos(lift)), this.pole, Math.sin(lift));
      const side = unit(cross(this.pole, level));
      return { side, up: cross(back, side), back };
    }
    turn(dx, dy) {
      this.azimuth -= dx;
      this.elevation = Math.max(-1.55, Math.min(1.55, this.elevation + dy));
    }
    pan(dx, dy) {
      const { side, up } = this.frame;
      this.target = sum(sum(this.target, side, -dx * this.distance), up, dy * this.distance);
    }
    zoom(factor) {
      const { radius } = this.scene;
      this.distance = Math.max(0.02 * radius, Math.min(40 * radius, this.distance * factor));
    }
    matrix(aspect) {
      const { side, up, back } = this.frame, focal = 2.2;
      const near = this.distance / 100, far = this.distance + 10 * this.scene.radius;
      const eye = sum(this.target, back, this.distance), depth = (far + near) / (near - far);
      const rows = [
        [...side.map((v) => (v * focal) / Math.max(aspect, 1)), (-dot(side, eye) * focal) / Math.max(aspect, 1)],
        [...up.map((v) => v * focal * Math.min(aspect, 1)), -dot(up, eye) * focal * Math.min(aspect, 1)],
        [...back.map((v) => v * depth), -dot(back, eye) * depth + (2 * far * near) / (near - far)],
        [...back.map((v) => -v), dot(back, eye)],
      ];
      return new Float32Array([0, 1, 2, 3].flatMap((column) => rows.map((row) => row[column])));
    }
  }

  class Item {
    constructor(gl, data, programs) {
      this.gl = gl;
      this.data = data;
      this.shown = true;
      this.program = programs[data.kind];
      this.positions = floats(data.positions);
      this.count = data.count;
      this.buffers = { position: gl.createBuffer(), color: gl.createBuffer(), corner: gl.createBuffer() };
      this.fill("color", bytes(data.colors));
      this.fill("corner", CORNERS);
      if (data.faces) {
        this.indices = new Uint32Array(bytes(data.faces).buffer);
        this.buffers.faces = gl.createBuffer();
        gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.buffers.faces);
        gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, this.indices, gl.STATIC_DRAW);
      }
      this.frame = -1;
    }
    at(frame) { // floats of one frame
      const length = this.count * (this.data.kind === "lines" ? 6 : 3), start = this.data.frames > 1 ? frame : 0;
      return this.positions.subarray(start * length, (start + 1) * length);
    }
    fill(name, values) {
      this.gl.bindBuffer(this.gl.ARRAY_BUFFER, this.buffers[name]);
      this.gl.bufferData(this.gl.ARRAY_BUFFER, values, this.gl.STATIC_DRAW);
    }
    attribute(name, buffer, length, type, normalized, stride, offset, divisor) {
      const { gl } = this, place = gl.getAttribLocation(this.program, name);
      gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[buffer]);
      gl.enableVertexAttribArray(place);
      gl.vertexAttribPointer(place, length, type, normalized, stride, offset);
      gl.vertexAttribDivisor(place, divisor);
    }
    draw(view, light, canvas, frame, ratio) {
      const { gl, program: active, data } = this;
      if (!this.shown || !this.count) return;
      if (frame !== this.frame && (data.frames > 1 || this.frame < 0)) this.fill("position", this.at(frame));
      this.frame = frame;
      gl.useProgram(active);
      gl.uniformMatrix4fv(gl.getUniformLocation(active, "view"), false, view);
      gl.uniform1f(gl.getUniformLocation(active, "size"), data.size * ratio);
      gl.uniform2f(gl.getUniformLocation(active, "canvas"), canvas.width, canvas.height);
      gl.uniform3f(gl.getUniformLocation(active, "light"), ...light);
      const line = data.kind === "lines" ? 1 : 0;
      this.attribute("color", "color", 3, gl.UNSIGNED_BYTE, true, 0, 0, line);
      if (line) {
        this.attribute("corner", "corner", 2, gl.FLOAT, false, 0, 0, 0);
        this.attribute("start", "position", 3, gl.FLOAT, false, 24, 0, 1);
        this.attribute("end", "position", 3, gl.FLOAT, false, 24, 12, 1);
        gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, this.count);
      } else {
        this.attribute("position", "position", 3, gl.FLOAT, false, 0, 0, 0);
        if (data.kind === "points") gl.drawArrays(gl.POINTS, 0, this.count);
        else {
          gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.buffers.faces);
          gl.drawElements(gl.TRIANGLES, this.indices.length, gl.UNSIGNED_INT, 0);
        }
      }
    }
  }

  function show(figure) {
    const canvas = figure.querySelector("canvas"), tip = figure.querySelector(".scene-tip");
    const scene = JSON.parse(figure.querySelector("script[type='application/json']").textContent);
    const gl = canvas.getContext("webgl2", { antialias: true, preserveDrawingBuffer: true });
    if (!gl) {
      tip.textContent = "This browser has no WebGL 2, which the 3D view needs.";
      tip.hidden = false;
      return;
    }
    const programs = Object.fromEntries(Object.keys(VERTEX).map((kind) => [kind, program(gl, kind)]));
    const items = scene.items.map((data) => new Item(gl, data, programs)), orbit = new Orbit(scene);
    let frame = 0, view = null, waiting = false;

    function draw() {
      waiting = false;
      const ratio = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
      if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
      if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
      gl.viewport(0, 0, canvas.width, canvas.height);
      gl.clearColor(0, 0, 0, 0);
      gl.enable(gl.DEPTH_TEST);
      gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
      view = orbit.matrix(width / height);
      for (const item of items) item.draw(view, orbit.frame.back, canvas, frame, ratio);
      figure.dataset.drawn = "true";
    }
    const redraw = () => { if (!waiting) { waiting = true; requestAnimationFrame(draw); } };

    // The label of the point nearest to the pointer.
    function label(event) {
      const box = canvas.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
      let nearest = 12, text = "";
      for (const item of items.filter((each) => each.shown && each.data.labels.length)) {
        const at = item.at(frame);
        item.data.labels.forEach((name, i) => {
          const p = [at[3 * i], at[3 * i + 1], at[3 * i + 2], 1];
          const [u, v, , w] = [0, 1, 2, 3].map((row) => p.reduce((total, value, k) => total + value * view[4 * k + row], 0));
          const gap = Math.hypot(((u / w + 1) / 2) * box.width - x, ((1 - v / w) / 2) * box.height - y);
          if (w > 0 && gap < nearest) [nearest, text] = [gap, name];
        });
      }
      tip.hidden = !text;
      tip.textContent = text;
      tip.style.left = `${x + 12}px`;
      tip.style.top = `${y + 12}px`;
    }

    const pointers = new Map();
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, event);
    });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (e) => pointers.delete(e.pointerId));
    canvas.addEventListener("pointermove", (event) => {
      const before = pointers.get(event.pointerId);
      if (!before) return label(event);
      const dx = event.clientX - before.clientX, dy = event.clientY - before.clientY;
      const other = [...pointers.values()].find((each) => each.pointerId !== event.pointerId);
      if (other) {
        const gap = (e) => Math.hypot(e.clientX - other.clientX, e.clientY - other.clientY);
        orbit.zoom(gap(before) / Math.max(gap(event), 1));
        orbit.pan(dx / canvas.clientHeight / 2, dy / canvas.clientHeight / 2);
      } else if (event.shiftKey || before.buttons === 2) orbit.pan(dx / canvas.clientHeight, dy / canvas.clientHeight);
      else orbit.turn(dx / 150, dy / 150);
      pointers.set(event.pointerId, event);
      redraw();
    });
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      orbit.zoom(Math.exp(event.deltaY / 600));
      redraw();
    }, { passive: false });
    canvas.addEventListener("dblclick", () => { orbit.reset(); redraw(); });
    const keys = {
      ArrowLeft: () => orbit.turn(-0.1, 0), ArrowRight: () => orbit.turn(0.1, 0),
      ArrowUp: () => orbit.turn(0, 0.1), ArrowDown: () => orbit.turn(0, -0.1),
      "+": () => orbit.zoom(0.9), "-": () => orbit.zoom(1.1), 0: () => orbit.reset(),
    };
    canvas.addEventListener("keydown", (event) => {
      if (!(event.key in keys)) return;
      event.preventDefault();
      keys[event.key]();
      redraw();
    });
    figure.querySelectorAll("input[type=checkbox]").forEach((box, i) => {
      box.addEventListener("change", () => { items[i].shown = box.checked; redraw(); });
    });

    const slider = figure.querySelector("input[type=range]");
    if (slider) {
      const button = figure.querySelector("button"), output = figure.querySelector("output");
      let started = null;
      const to = (next) => {
        frame = next;
        slider.value = next;
        output.textContent = `frame ${next}, ${(next / scene.rate).toFixed(2)} s`;
        redraw();
      };
      const step = (time) => {
        if (started === null) return;
        to(Math.floor(((time - started) / 1000) * scene.rate) % scene.frames);
        requestAnimationFrame(step);
      };
      slider.addEventListener("input", () => { started = null; button.textContent = "Play"; to(Number(slider.value)); });
      button.addEventListener("click", () => {
        const playing = started !== null;
        started = playing ? null : performance.now() - (frame / scene.rate) * 1000;
        button.textContent = playing ? "Play" : "Pause";
        if (!playing) requestAnimationFrame(step);
      });
      to(0);
    }
    new ResizeObserver(redraw).observe(canvas);
    redraw();
  }

  document.querySelectorAll("figure.scene:not([data-ready])").forEach((figure) => {
    figure.dataset.ready = "true";
    show(figure);
  });
})();
