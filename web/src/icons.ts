/** The icons of Tabler that the client uses. */
export const icons = [
	'home', 'bell', 'settings', 'pencil', 'arrow-back-up', 'repeat', 'mood-smile', 'dots', 'world', 'lock', 'mail', 'x', 'plus',
	'quote', 'trash', 'link', 'copy', 'external-link', 'volume-off', 'ban', 'user-plus', 'user-check', 'chart-bar', 'eye-off',
	'planet-off', 'planet', 'check', 'chevron-down', 'arrow-up', 'user', 'search', 'minus', 'key', 'arrow-left',
	'user-circle', 'shield-lock', 'adjustments', 'palette', 'user-cog', 'logout', 'fingerprint', 'apps', 'download', 'player-pause', 'player-play',
	'heart-rate-monitor', 'photo-plus', 'folder', 'camera', 'language', 'info-circle', 'pin', 'star', 'message-circle', 'cloud',
] as const;

export type IconName = (typeof icons)[number];
