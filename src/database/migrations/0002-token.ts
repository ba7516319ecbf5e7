/** The access token that all replicas use. */
export const tokenSchema = `
select 1;
`;
