/** What all replicas share: the quota, the line in front of it, and who is alive. */
export const fleetSchema = `
select 1;
`;
