/** The ledger of deliveries. */
export const deliverySchema = `
select 1;
`;
