// Asks the browser for a passkey, and sends its answer with the form of the page (Web Authentication Level 3).
"use strict";

(() => {
  const form = document.getElementById("passkey");
  const state = document.getElementById("passkey-state");
  const button = form.querySelector("button");

  const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (one) => one.charCodeAt(0));
  const text = (buffer) => {
    const letters = Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join("");
    return btoa(letters).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
  };
  const credentials = (list) => (list ?? []).map((one) => ({ ...one, id: bytes(one.id) }));

  function options() {
    const given = JSON.parse(form.dataset.options);
    given.challenge = bytes(given.challenge);
    if (given.user) given.user.id = bytes(given.user.id);
    given.excludeCredentials = credentials(given.excludeCredentials);
    given.allowCredentials = credentials(given.allowCredentials);
    return { publicKey: given };
  }

  function answer({ rawId, response }) {
    const parts = { rawId: text(rawId), clientDataJSON: text(response.clientDataJSON) };
    if (response.attestationObject) return { ...parts, attestationObject: text(response.attestationObject) };
    return {
      ...parts,
      authenticatorData: text(response.authenticatorData),
      signature: text(response.signature),
      userHandle: response.userHandle ? text(response.userHandle) : null,
    };
  }

  const WHY = {
    InvalidStateError: "This device has a passkey for your account already.",
    NotSupportedError: "This device cannot make a passkey that works here.",
    SecurityError: "The browser does not allow passkeys at this address.",
  };

  async function ask() {
    button.hidden = true;
    state.textContent = "Your browser asks for your passkey now.";
    try {
      const found = await navigator.credentials[form.dataset.call](options());
      form.elements.credential.value = JSON.stringify(answer(found));
      state.textContent = "One moment.";
      form.submit();
    } catch (error) {
      state.textContent = WHY[error.name] ?? "That did not work, or it was cancelled.";
      button.hidden = false;
      button.focus();
    }
  }

  if (!window.PublicKeyCredential) {
    state.textContent = "This browser has no passkeys. Take the other way.";
    return;
  }
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });
  ask();
})();
