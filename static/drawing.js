// Strokes by finger, pen or mouse, in shares of the field's side so that they fit any size.

const PEN_WIDTH = 0.05;

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

// Calls began with a new stroke, and grew whenever points were added to it.
export function followPointer(canvas, began, grew) {
  let stroke = null;
  let pointer = null;

  canvas.addEventListener("pointerdown", event => {
    // One pointer at a time: a hand that rests on the field does not draw.
    if (stroke || event.button !== 0) return;
    pointer = event.pointerId;
    canvas.setPointerCapture(pointer);
    stroke = [pointOf(event, canvas)];
    began(stroke);
  });
  canvas.addEventListener("pointermove", event => {
    if (event.pointerId !== pointer) return;
    stroke.push(...steps(event).map(step => pointOf(step, canvas)));
    grew();
  });
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
    canvas.addEventListener(end, event => {
      if (event.pointerId === pointer) stroke = pointer = null;
    });
  }
}

// What the pointer did since the last frame.
function steps(event) {
  const coalesced = event.getCoalescedEvents?.() ?? [];
  return coalesced.length ? coalesced : [event];
}

function pointOf(event, canvas) {
  const {left, top, width, height} = canvas.getBoundingClientRect();
  // Only a pen measures pressure.
  const force = event.pointerType === "pen" ? 0.5 + event.pressure : 1;
  return {x: (event.clientX - left) / width, y: (event.clientY - top) / height, force};
}
