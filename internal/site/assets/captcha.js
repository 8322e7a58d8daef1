'use strict';
// Asks, and tells the page around it what was answered, and how much room there has to be.
const at = document.getElementById('captcha');
const { of, key, frame } = at.dataset;
const tell = (message) => parent.postMessage({ captcha: of, ...message }, location.origin);
const say = (token) => tell({ token, open: false });

// Called by the script of whoever asks, once it is there.
window.ask = () => {
	const maker = { hcaptcha: window.hcaptcha, turnstile: window.turnstile, recaptcha: window.grecaptcha }[of];
	maker.render(at, {
		sitekey: key, theme: matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light',
		callback: say, 'expired-callback': () => say(''), 'error-callback': () => say(''),
	});
};

if (frame) {
	const from = new URL(frame).origin;
	addEventListener('message', (e) => {
		if (e.origin === from && typeof e.data?.token === 'string') say(e.data.token);
	});
}
document.getElementById('passed')?.addEventListener('click', () => say('testcaptcha-passed'));
// Whoever presses a frame inside may be asked more than fits into a line. Whoever
// goes elsewhere is not: what is pressed there must not move away. Some browsers say
// only afterwards where one is.
addEventListener('blur', () => setTimeout(() => {
	if (document.activeElement instanceof HTMLIFrameElement) tell({ open: true });
}));
