declare module 'virtual:icons' {
	import type { IconName } from './icons.ts';
	const paths: Record<IconName, string>;
	export default paths;
}

declare module 'virtual:emoji-ko' {
	const words: Record<string, string[]>;
	export default words;
}
