// Strokes by finger, pen or mouse, in shares of the field's side so that they fit any size.

const PEN_WIDTH = 0.05;

export function paint(canvas, strokes, ink) {
  const context = canvas.getContext("2d");
  context.strokeStyle = ink;
  context.lineCap = "round";
  for (const stroke of strokes) paintStroke(context, canvas.width, stroke);
}

// Curves from middle to middle of the points have no corners at the points.
function paintStroke(context, side, stroke) {
  let [last] = stroke;
  let start = last;
  for (const point of stroke) {
    const end = middle(last, point);
    paintCurve(context, side, start, last, end);
    [last, start] = [point, end];
  }
  paintCurve(context, side, start, last, last);
}

function paintCurve(context, side, start, through, end) {
  context.lineWidth = PEN_WIDTH * side * end.force;
  context.beginPath();
  context.moveTo(start.x * side, start.y * side);
  // A line without length would not be painted, and a dot is one.
  context.quadraticCurveTo(through.x * side, through.y * side, end.x * side + 0.01, end.y * side);
  context.stroke();
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
