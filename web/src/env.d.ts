declare module 'virtual:icons' {
	import type { IconName } from './icons.ts';
	const paths: Record<IconName, string>;
	export default paths;
}
