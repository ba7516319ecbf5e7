export async function putBacklog() {}
