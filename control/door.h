/* door.h - a client's request through the HTTP door, admitted and answered. */
#ifndef DOOR_H
#define DOOR_H

#include "api/http.h"
#include "control/control.h"

/* The door's http_serve_fn; context is the control. */
void door_serve(void *control, struct http_request *http);

#endif
