/* shard_note.c - what those who follow tasks are told of: a task as it is after a change. */
#include "common/defs.h"
#include "control/runs_impl.h"

#include "control/watch.h"

#include <stdio.h>
#include <string.h>

void shard_set_board(struct shard *shard, struct board *board)
{
	shard_lock(shard);
	shard->board = board;
	shard_unlock(shard);
}

void shard_note(struct shard *shard, const struct task *task)
{
	if (!shard->board || !task->durable || !board_watched(shard->board))
		return;
	const struct trail_step *step = trail_last(&task->trail);
	struct sighting sighting = {
		.version = task->version,
		.state = task_state_name(task->state),
		.attempt = task->attempts + (task->state == STATE_RUNNING),
		.percent = -1,
	};
	memcpy(sighting.task, task->id, sizeof sighting.task);
	if (task->state == STATE_RUNNING) {
		memcpy(sighting.phase, task->phase, sizeof sighting.phase);
		sighting.rows = task->progress.rows;
		sighting.bytes = task->progress.bytes;
		sighting.percent = task->progress.percent;
	}
	if (step) {
		sighting.step = *step;
		sighting.stepped = true;
	}
	board_note(shard->board, task->id, &sighting);
	if (!task->node)
		return;
	snprintf(sighting.name, sizeof sighting.name, "%s", task->node->name);
	board_note(shard->board, task->node->run->id, &sighting);
}
