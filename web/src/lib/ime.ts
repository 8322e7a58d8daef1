/**
 * Whether a key belongs to the input method that is composing a syllable. Safari
 * ends the composition before it sends the keydown of the Enter that did: only
 * keyCode 229 tells then. Every handler of Enter, Escape, Tab and arrows asks first.
 */
export function composing(e: KeyboardEvent): boolean {
	return e.isComposing || e.keyCode === 229;
}

/**
 * Whether a key is the send key: Ctrl+Enter or Cmd+Enter. It is so while a syllable is being composed too, since
 * Ctrl+Enter cannot be part of one: the caller sends once the syllable is finished.
 */
export function sends(e: KeyboardEvent): boolean {
	return (e.ctrlKey || e.metaKey) && (e.key === 'Enter' || e.code === 'Enter' || e.code === 'NumpadEnter');
}

/**
 * Calls back with the text that includes the syllable under way: at once when
 * there is none, else when the input method has finished it. Nothing is written into the field meanwhile.
 */
export function whenComposed(field: HTMLTextAreaElement | HTMLInputElement, isComposing: boolean, done: (text: string) => void): void {
	if (!isComposing) {
		done(field.value);
		return;
	}
	const finish = (): void => done(field.value);
	field.addEventListener('compositionend', () => queueMicrotask(finish), { once: true });
	field.blur();
	field.focus();
}
