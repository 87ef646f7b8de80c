/* h_backup.c - a backup of everything, to an operator. */
#include "common/defs.h"
#include "control/admit.h"

#include "control/backups.h"

handler_fn h_backup;

int h_backup(struct control *control, struct request *request, struct err *err)
{
	TRY(part_needs_lead(request->part, err));
	TRY(backups_check(control->backups, err));
	request->reply->status = 200;
	request->reply->content_type = BACKUP_TYPE;
	request->reply->backup = true;
	return 0;
}
