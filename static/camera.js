// The camera of a desk: a dialog with what it sees. Phones have a better one of their own.

const dialog = document.getElementById("camera");
const viewfinder = document.getElementById("viewfinder");

export async function hasCamera() {
  const devices = await navigator.mediaDevices?.enumerateDevices() ?? [];
  return devices.some(({kind}) => kind === "videoinput");
}

// Throws when the camera is refused or in use.
export async function openCamera() {
  const size = {width: {ideal: 1920}, height: {ideal: 1080}};
  viewfinder.srcObject = await navigator.mediaDevices.getUserMedia({video: size});
  dialog.showModal();
}

async function photo() {
  const {videoWidth: width, videoHeight: height} = viewfinder;
  const canvas = Object.assign(document.createElement("canvas"), {width, height});
  canvas.getContext("2d").drawImage(viewfinder, 0, 0);
  const blob = await new Promise(resolve => canvas.toBlob(resolve, "image/jpeg"));
  return new File([blob], "photo.jpg", {type: "image/jpeg"});
}

export function followCamera(taken) {
  document.getElementById("shoot").addEventListener("click", async () => {
    if (!viewfinder.videoWidth) return;  // the first frame is still to come
    const file = await photo();
    dialog.close();
    taken([file]);
  });
  document.getElementById("cancel").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => {
    viewfinder.srcObject.getTracks().forEach(track => track.stop());
    viewfinder.srcObject = null;
  });
}
