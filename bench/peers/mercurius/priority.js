// Priorities are kept as their rank.
export const RANKS = { LOW: 1, MEDIUM: 2, HIGH: 3 };
export const NAMED_PRIORITY = "(ARRAY['LOW', 'MEDIUM', 'HIGH'])[priority] AS priority";
