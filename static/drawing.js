// Strokes by finger, pen or mouse, in shares of the field's width so that they fit any size.

const PEN_WIDTH = 0.035;
// In CSS pixels. A pointer that moves less taps.
const TAP_DISTANCE = 3;

export function paint(canvas, strokes, ink) {
  const context = canvas.getContext("2d");
  context.strokeStyle = ink;
  context.lineCap = context.lineJoin = "round";
  for (const stroke of strokes) paintStroke(context, canvas.width, stroke);
}

// Curves from middle to middle of the points have no corners at the points.
function paintStroke(context, side, stroke) {
  let [last] = stroke;
  let start = last;
  startPath(context, side, start, start.force);
  for (const point of stroke) {
    const end = middle(last, point);
    // A path has one width; a new one for every curve would make long strokes slow.
    if (end.force !== start.force) {
      context.stroke();
      startPath(context, side, start, end.force);
    }
    context.quadraticCurveTo(last.x * side, last.y * side, end.x * side, end.y * side);
    [last, start] = [point, end];
  }
  // A line without length would not be painted, and a dot is one.
  context.lineTo(last.x * side + 0.01, last.y * side);
  context.stroke();
}

function startPath(context, side, {x, y}, force) {
  context.lineWidth = PEN_WIDTH * side * force;
  context.beginPath();
  context.moveTo(x * side, y * side);
}

function middle(one, other) {
  return {x: (one.x + other.x) / 2, y: (one.y + other.y) / 2, force: (one.force + other.force) / 2};
}

// Calls began with a new stroke, and grew whenever points were added to it. A tap is a
// stroke of one point, a dot, unless tapped returns true.
export function followPointer(canvas, {began, grew, tapped}) {
  let stroke = null;
  let down = null;

  canvas.addEventListener("pointerdown", event => {
    // One pointer at a time: a hand that rests on the field does not draw.
    if (down || event.button !== 0) return;
    down = event;
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", event => {
    if (event.pointerId !== down?.pointerId || !stroke && isTap(down, event)) return;
    if (!stroke) began(stroke = [pointOf(down, canvas)]);
    stroke.push(...steps(event).map(step => pointOf(step, canvas)));
    grew();
  });
  canvas.addEventListener("pointerup", event => {
    if (event.pointerId !== down?.pointerId) return;
    if (!stroke && !tapped(event)) began([pointOf(event, canvas)]);
    stroke = down = null;
  });
  for (const end of ["pointercancel", "lostpointercapture"]) {
    canvas.addEventListener(end, event => {
      if (event.pointerId === down?.pointerId) stroke = down = null;
    });
  }
}

function isTap(down, {clientX, clientY}) {
  return Math.hypot(clientX - down.clientX, clientY - down.clientY) < TAP_DISTANCE;
}

// What the pointer did since the last frame.
function steps(event) {
  const coalesced = event.getCoalescedEvents?.() ?? [];
  return coalesced.length ? coalesced : [event];
}

function pointOf(event, canvas) {
  const {left, top, width} = canvas.getBoundingClientRect();
  // Only a pen measures pressure.
  const force = event.pointerType === "pen" ? 0.5 + event.pressure : 1;
  return {x: (event.clientX - left) / width, y: (event.clientY - top) / width, force};
}
