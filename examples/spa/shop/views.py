from rest_framework.response import Response
from rest_framework.views import APIView


class Me(APIView):
    """Who holds the token."""

    def get(self, request):
        return Response({"username": request.user.get_username()})
