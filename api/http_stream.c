/* http_stream.c - answers that go on: what a connection takes out of an outflow. While that is
 * parked the connection is suspended, so that it cannot go away. */
#include "common/defs.h"
#include "api/http_impl.h"

#include <microhttpd.h>
#include <stdlib.h>

/* Handed to libmicrohttpd at a time: of events, and of what may be much. */
enum { STREAM_BLOCK = 4096, STREAM_BLOCK_LARGE = 64 * 1024, STREAM_LARGE = 1024 * 1024 };

static void park(void *context)
{
	struct http_stream *stream = context;
	MHD_suspend_connection(stream->connection);
}

static void wake(void *context)
{
	struct http_stream *stream = context;
	MHD_resume_connection(stream->connection);
}

static void enlist(struct http_stream *stream)
{
	struct http_server *server = stream->server;
	pthread_mutex_lock(&server->mutex);
	stream->next = server->streams;
	if (stream->next)
		stream->next->prev = stream;
	server->streams = stream;
	bool late = server->no_streams;
	pthread_mutex_unlock(&server->mutex);
	if (late)
		outflow_drop(stream->outflow);
}

int http_answer_stream(struct http_request *request, const char *content_type, size_t kept_max,
                       struct outflow **ret_outflow, struct err *err)
{
	REQUIRE(request->phase == PHASE_HANDED);
	struct http_stream *stream = calloc(1, sizeof *stream);
	if (!stream)
		return err_set(err, E_NOMEM, "no memory for a stream; ask again later");
	const struct outflow_reader reader = { park, wake, stream };
	int rc = outflow_new(kept_max, &reader, &stream->outflow, err);
	if (rc < 0) {
		free(stream);
		return rc;
	}
	stream->block = kept_max >= STREAM_LARGE ? STREAM_BLOCK_LARGE : STREAM_BLOCK;
	stream->server = request->server;
	stream->connection = request->connection;
	enlist(stream);
	request->stream = stream;
	*ret_outflow = stream->outflow;
	http_answer(request, 200, content_type, NULL);
	return 0;
}

static ssize_t read_stream(void *context, uint64_t at, char *out, size_t most)
{
	struct http_stream *stream = context;
	(void)at;
	int len = outflow_take(stream->outflow, out, most);
	return len == OUTFLOW_OVER     ? MHD_CONTENT_READER_END_OF_STREAM
	       : len == OUTFLOW_BROKEN ? MHD_CONTENT_READER_END_WITH_ERROR : len;
}

void http_stream_free(void *context)
{
	struct http_stream *stream = context;
	struct http_server *server = stream->server;
	pthread_mutex_lock(&server->mutex);
	*(stream->prev ? &stream->prev->next : &server->streams) = stream->next;
	if (stream->next)
		stream->next->prev = stream->prev;
	pthread_mutex_unlock(&server->mutex);
	outflow_leave(stream->outflow);
	free(stream);
}

void http_streams_end(struct http_server *server)
{
	pthread_mutex_lock(&server->mutex);
	server->no_streams = true;
	for (struct http_stream *stream = server->streams; stream; stream = stream->next)
		outflow_drop(stream->outflow);
	pthread_mutex_unlock(&server->mutex);
}

struct MHD_Response *http_stream_response(struct http_request *request)
{
	struct MHD_Response *response = MHD_create_response_from_callback(
		MHD_SIZE_UNKNOWN, request->stream->block, read_stream, request->stream,
		http_stream_free);
	if (response)
		request->stream = NULL;
	return response;
}
